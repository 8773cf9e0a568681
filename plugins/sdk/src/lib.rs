//! Write clickmill plugins: one function over a row, or over whole columns when speed matters.
//!
//! ```
//! use clickmill_plugin::prelude::*;
//!
//! /// What the pipeline file may set, and its documentation.
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     /// Countries to keep, as ISO codes.
//!     keep: Vec<String>,
//! }
//!
//! struct KeepCountries(Config);
//!
//! impl RowPlugin for KeepCountries {
//!     type Config = Config;
//!
//!     fn configure(config: Config, _available: &[ColumnSpec]) -> Result<Self, Problems> {
//!         Ok(Self(config))
//!     }
//!
//!     fn needs(&self) -> Needs {
//!         Needs::new().reads("country", DataType::Text).writes("country", DataType::Text)
//!     }
//!
//!     fn row(&self, row: &mut Row<'_>) -> Result<(), Refusal> {
//!         let country = row.require_text("country")?.to_ascii_uppercase();
//!         if !self.0.keep.contains(&country) {
//!             row.filter_out();
//!         }
//!         row.set("country", country);
//!         Ok(())
//!     }
//! }
//!
//! clickmill_plugin::export!(KeepCountries);
//! # fn main() {}
//! ```
//!
//! `clickmill plugin build` makes a component of the crate; `cargo test` tests it natively, with
//! [`testing`] in the host's place. The types that cross the boundary ([`Batch`], [`Column`],
//! [`Output`] …) are those of `wit/plugin.wit` in this crate, where each is documented.
//!
//! A component has an allocator that knows that its memory is thrown away after each call. A crate that brings
//! one of its own takes this one without its feature `allocator`, which is on by default.

mod batch;
/// What `wit/plugin.wit` generates, by a test of the repository. Use the re-exports of the crate root instead.
#[doc(hidden)]
#[rustfmt::skip]
#[expect(unsafe_code, reason = "values are read from memory, and written into it")]
#[expect(
    clippy::all,
    clippy::allow_attributes,
    clippy::match_bool,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "it is generated"
)]
pub mod bindings;
mod builder;
mod column;
mod decimal;
mod log;
pub mod lookup;
#[cfg(any(
    test,
    all(target_family = "wasm", not(target_feature = "atomics"), feature = "allocator")
))]
#[expect(unsafe_code, reason = "an allocator cannot be written without")]
mod memory;
mod plugin;
mod record;
mod row;
pub mod testing;
mod tree;
mod typed;
mod value;

#[cfg(all(target_family = "wasm", not(target_feature = "atomics"), feature = "allocator"))]
#[global_allocator]
static MEMORY: memory::Memory = memory::Memory::new();

pub use batch::Places;
pub use bindings::clickmill::plugin::types::{
    Batch, Column, ColumnSpec, Configured, DataType, Dictionary, Fault, Manifest, Needs, Output,
    Rejection, Text, Values,
};
pub use builder::{
    Booleans, Dates, Datetimes, Decimals, Fixed, Float64s, Int64s, Texts, Times, Timestamps,
    Validity,
};
pub use column::same;
pub use decimal::{Decimal, NotADecimal};
pub use log::{debug, error, info, unreadable, warn};
pub use plugin::{Plugin, Problems, Secret, is_within};
pub use record::{List, Record};
pub use row::{Refusal, Row, RowPlugin, reject};
pub use typed::Unlike;
pub use value::Value;

#[doc(hidden)]
pub use plugin::glue;

/// Everything a plugin usually needs.
pub mod prelude {
    pub use crate::{
        Batch, Column, ColumnSpec, DataType, Decimal, Fault, List, Needs, Output, Plugin, Problems,
        Record, Refusal, Rejection, Row, RowPlugin, Secret, Value, Values, reject,
    };
}

/// Makes a [`Plugin`] or [`RowPlugin`] the plugin of this crate. Its name, version and description are
/// those of `Cargo.toml`.
///
/// A type that is no plugin does not compile, and the compiler says what to write for it:
///
/// ```compile_fail,E0277
/// struct Shout;
/// clickmill_plugin::export!(Shout); // implement `RowPlugin` (a function over one row) or `Plugin` …
/// ```
///
/// Exactly one call per crate, at the top level of `lib.rs`. Natively it only checks the type, so that
/// the crate can be unit-tested and linked like any other.
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        const _: fn() = || {
            fn is_a_plugin<T: $crate::Plugin>() {}
            is_a_plugin::<$plugin>();
        };

        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Guest;

            impl $crate::bindings::Guest for Guest {
                fn describe() -> $crate::Manifest {
                    $crate::glue::describe::<$plugin>(
                        env!("CARGO_PKG_NAME"),
                        env!("CARGO_PKG_VERSION"),
                        env!("CARGO_PKG_DESCRIPTION"),
                    )
                }

                fn configure(
                    config: String,
                    available: Vec<$crate::ColumnSpec>,
                ) -> Result<$crate::Configured, Vec<String>> {
                    $crate::glue::configure::<$plugin>(&config, &available)
                }

                fn process(
                    config: String,
                    prepared: Vec<u8>,
                    input: $crate::Batch,
                ) -> Result<$crate::Output, $crate::Fault> {
                    $crate::glue::process::<$plugin>(&config, &prepared, input)
                }
            }

    $crate::bindings::export!(Guest with_types_in $crate::bindings);
        };
    };
}
