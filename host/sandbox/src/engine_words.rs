//! What wasmtime says only in words. Decisions that hang on its messages are made here and nowhere else;
//! each has a test that provokes the message, so that an upgrade which changes it fails there.

/// How wasmtime 48 begins where a call copies more than [`wasmtime::Store::set_hostcall_fuel`] allows: its
/// type `HostcallFuelExhausted` is private.
const COPIED_TOO_MUCH: &str = "too much data is being copied between the host and the guest";
/// How the functions of [`wasmtime::component::Linker::define_unknown_imports_as_traps`] begin, which have
/// no type of error at all.
const UNKNOWN_IMPORT: &str = "unknown import: ";

/// Whether a call ended because more was copied between host and guest than it may be.
pub(super) fn copied_too_much(error: &wasmtime::Error) -> bool {
    error.root_cause().to_string().starts_with(COPIED_TOO_MUCH)
}

/// Whether a call ended because the guest called an import that nobody gave it.
pub(super) fn called_unknown_import(error: &wasmtime::Error) -> bool {
    error.root_cause().to_string().starts_with(UNKNOWN_IMPORT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boundary::Manifest;
    use crate::guest::{Guest, link, store};
    use crate::testing::{Body, CONTRACT_WIT, World, engine};
    use clickmill_config::Limits;

    /// The error of calling `describe` of a guest.
    fn error_of(wit: &str, describe: Body<'_>, may_copy: usize) -> wasmtime::Error {
        let (_folder, engine) = engine();
        let component = World::parse(wit).unwrap().component(&[describe]);
        let component = engine.compile(&component).unwrap();
        let linker = link(&engine.wasmtime, &component).unwrap();
        let guest = Guest::new("test".into(), Limits::default(), Default::default());
        let mut store = store(&engine.wasmtime, guest);
        store.set_fuel(u64::MAX).unwrap();
        store.set_hostcall_fuel(may_copy);
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let describe = instance.get_func(&mut store, "describe").unwrap();
        let describe = describe.typed::<(), (Manifest,)>(&store).unwrap();
        describe.call(&mut store, ()).map(drop).unwrap_err()
    }

    #[test]
    fn an_answer_beyond_what_may_be_copied_is_told_by_its_words() {
        // The manifest lies at 0: its name gets a length.
        let long_name: Body<'_> = ("describe", &|body| {
            let length = wasm_encoder::MemArg { offset: 4, align: 2, memory_index: 0 };
            body.i32_const(0).i32_const(100_000).i32_store(length);
        });
        let error = error_of(CONTRACT_WIT, long_name, 1000);
        assert!(copied_too_much(&error), "{error:#}");
        assert!(!called_unknown_import(&error));
    }

    #[test]
    fn a_call_of_an_unknown_import_is_told_by_its_words() {
        let wit = CONTRACT_WIT.replacen("import log;", "import now: func();\n  import log;", 1);
        let world = World::parse(&wit).unwrap();
        let now = world.imports().iter().position(|(_, import)| import.name == "now");
        let now = now.expect("the world imports it") as u32;
        let calls: Body<'_> = ("describe", &|body| {
            body.call(now);
        });
        let error = error_of(&wit, calls, 1000);
        assert!(called_unknown_import(&error), "{error:#}");
        assert!(!copied_too_much(&error));
    }
}
