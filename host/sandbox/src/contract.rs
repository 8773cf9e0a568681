//! The contracts that this host speaks: today's, and the one before it.

use wasmtime::Engine;
use wasmtime::component::types::{Component, ComponentExtern, ComponentItem};

use super::boundary::CONTRACT;
use super::contract_0_1;

/// How the names of the contract's interfaces begin.
pub(super) const PACKAGE: &str = "clickmill:plugin/";

/// A contract that this host speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contract {
    V0_1,
    V0_2,
}

impl Contract {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V0_1 => contract_0_1::CONTRACT,
            Self::V0_2 => CONTRACT,
        }
    }

    fn version(self) -> &'static str {
        self.name().rsplit_once('@').map_or("", |(_, version)| version)
    }

    /// The contract that a component was built for. The error is an import of a contract that this host
    /// does not speak, or beside one of another that it does.
    pub(crate) fn of(engine: &Engine, component: &Component) -> Result<Self, String> {
        let mut found = None;
        for (import, _) in component.imports(engine) {
            if !import.starts_with(PACKAGE) {
                continue;
            }
            let version = import.rsplit_once('@').map_or("", |(_, version)| version);
            let contract = [Self::V0_1, Self::V0_2].into_iter().find(|c| c.version() == version);
            match (contract, found) {
                (Some(contract), None) => found = Some(contract),
                (Some(contract), Some(other)) if contract == other => {}
                _ => return Err(import.to_owned()),
            }
        }
        // What imports nothing is told by what `process` takes: since 0.2 what was prepared, too.
        Ok(found.unwrap_or_else(|| match component.get_export(engine, "process") {
            Some(ComponentExtern { ty: ComponentItem::ComponentFunc(process), .. })
                if process.params().len() == 2 =>
            {
                Self::V0_1
            }
            _ => Self::V0_2,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;
    use crate::testing::{CONTRACT_0_1_WIT, CONTRACT_WIT, World, engine};

    fn of(engine: &Engine, wit: &str) -> Result<Contract, String> {
        let component = World::parse(wit).expect("the text parses").component(&[]);
        let component = engine.compile(&component).expect("a component");
        Contract::of(&engine.wasmtime, &component.component_type())
    }

    #[test]
    fn a_component_is_known_by_what_it_imports() {
        let (_folder, engine) = engine();
        assert_eq!(of(&engine, CONTRACT_WIT), Ok(Contract::V0_2));
        assert_eq!(of(&engine, CONTRACT_0_1_WIT), Ok(Contract::V0_1));
        let other = CONTRACT_WIT
            .replace("plugin@0.2.0", "plugin@0.9.0")
            .replace("@since(version = 0.2.0)\n", "");
        let told = of(&engine, &other).expect_err("another contract");
        assert!(told.starts_with("clickmill:plugin/") && told.ends_with("@0.9.0"), "{told}");
    }

    #[test]
    fn one_that_imports_nothing_is_known_by_what_it_takes() {
        let (_folder, engine) = engine();
        let world = |parameters: &str| {
            format!("package a:b; world plugin {{ export process: func({parameters}); }}")
        };
        assert_eq!(of(&engine, &world("config: string, input: u32")), Ok(Contract::V0_1));
        let now = world("config: string, prepared: list<u8>, input: u32");
        assert_eq!(of(&engine, &now), Ok(Contract::V0_2));
    }
}
