//! Setters for the configuration structs.

/// Defines a setter for each field of a configuration, so that fields can be added later. The setter of an
/// optional field also takes a value without `Some`.
macro_rules! setters {
    ($config:ident { $($fields:tt)+ }) => { impl $config { setters!($($fields)+); } };
    ($(#[$attribute:meta])* $field:ident: Option<$type:ty>, $($more:tt)*) => {
        #[doc = concat!("Sets [`", stringify!($field), "`](Self#structfield.", stringify!($field), ").")]
        $(#[$attribute])*
        #[must_use]
        pub fn $field(mut self, $field: impl Into<Option<$type>>) -> Self {
            self.$field = $field.into();
            self
        }
        setters!($($more)*);
    };
    ($(#[$attribute:meta])* $field:ident: $type:ty, $($more:tt)*) => {
        #[doc = concat!("Sets [`", stringify!($field), "`](Self#structfield.", stringify!($field), ").")]
        $(#[$attribute])*
        #[must_use]
        pub const fn $field(mut self, $field: $type) -> Self {
            self.$field = $field;
            self
        }
        setters!($($more)*);
    };
    () => {};
}
pub(crate) use setters;
