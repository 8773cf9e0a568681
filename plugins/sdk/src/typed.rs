//! Rows, records and lists as types of the plugin's own, by serde.
//!
//! Records are structs or maps, lists are vectors. Exact numbers are [`Decimal`](crate::Decimal) or `String`;
//! dates are days and times microseconds, as integers; JSON is its text, and bytes are bytes or a list of
//! `u8`.

use std::fmt::Display;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde::ser::{self, Serialize};

use crate::Value;

/// What does not fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Unlike(String);

impl Display for Unlike {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unlike {}

impl de::Error for Unlike {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl ser::Error for Unlike {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl Value {
    /// The value as another type.
    pub fn to<T: DeserializeOwned>(self) -> Result<T, Unlike> {
        T::deserialize(self)
    }

    /// Another type as a value. What serde has no type for arrives as text or an integer, and becomes what
    /// the column that it is set to is announced as.
    pub fn from_serde(value: &impl Serialize) -> Result<Self, Unlike> {
        value.serialize(Writer)
    }
}

impl<'de> IntoDeserializer<'de, Unlike> for Value {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> de::Deserializer<'de> for Value {
    type Error = Unlike;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unlike> {
        match self {
            Value::Null => visitor.visit_unit(),
            Value::Boolean(value) => visitor.visit_bool(value),
            Value::Int64(value)
            | Value::Time(value)
            | Value::Datetime(value)
            | Value::Timestamp(value) => visitor.visit_i64(value),
            Value::Date(value) => visitor.visit_i32(value),
            Value::Float64(value) => visitor.visit_f64(value),
            Value::Decimal(value) => visitor.visit_string(value.to_string()),
            Value::Text(value) | Value::Json(value) => visitor.visit_string(value),
            Value::Blob(value) => visitor.visit_byte_buf(value),
            Value::List(values) => visitor.visit_seq(SeqDeserializer::new(values.into_iter())),
            Value::Record(fields) => visitor.visit_map(MapDeserializer::new(fields.into_iter())),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unlike> {
        match self {
            Value::Null => visitor.visit_none(),
            value => visitor.visit_some(value),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unlike> {
        match self {
            Value::Blob(bytes) => visitor.visit_seq(SeqDeserializer::new(bytes.into_iter())),
            value => value.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unlike> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unlike> {
        match self {
            Value::Text(word) => visitor.visit_enum(word.into_deserializer()),
            other => Err(Unlike(format!("{other:?} is no word"))),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct tuple tuple_struct map struct identifier ignored_any
    }
}

/// Makes values of what is serialized.
struct Writer;

/// A list or record in the making.
#[derive(Default)]
struct Parts {
    values: Vec<Value>,
    names: Vec<String>,
}

impl Parts {
    fn into_record(self) -> Value {
        Value::Record(self.names.into_iter().zip(self.values).collect())
    }
}

macro_rules! integers {
    ($($name:ident: $type:ty),*) => {$(
        fn $name(self, value: $type) -> Result<Value, Unlike> {
            i64::try_from(value).map(Value::Int64).map_err(|_| Unlike(format!("{value} is beyond 64 bits")))
        }
    )*};
}

impl ser::Serializer for Writer {
    type Ok = Value;
    type Error = Unlike;
    type SerializeSeq = Parts;
    type SerializeTuple = Parts;
    type SerializeTupleStruct = Parts;
    type SerializeTupleVariant = ser::Impossible<Value, Unlike>;
    type SerializeMap = Parts;
    type SerializeStruct = Parts;
    type SerializeStructVariant = ser::Impossible<Value, Unlike>;

    integers!(
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128
    );

    fn serialize_bool(self, value: bool) -> Result<Value, Unlike> {
        Ok(Value::Boolean(value))
    }

    fn serialize_f32(self, value: f32) -> Result<Value, Unlike> {
        Ok(Value::Float64(value.into()))
    }

    fn serialize_f64(self, value: f64) -> Result<Value, Unlike> {
        Ok(Value::Float64(value))
    }

    fn serialize_char(self, value: char) -> Result<Value, Unlike> {
        Ok(Value::Text(value.to_string()))
    }

    fn serialize_str(self, value: &str) -> Result<Value, Unlike> {
        Ok(Value::Text(value.to_owned()))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Value, Unlike> {
        Ok(Value::Blob(value.to_owned()))
    }

    fn serialize_none(self) -> Result<Value, Unlike> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, Unlike> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, Unlike> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Value, Unlike> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<Value, Unlike> {
        Ok(Value::Text(variant.to_owned()))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<Value, Unlike> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _value: &T,
    ) -> Result<Value, Unlike> {
        Err(variants(variant))
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Parts, Unlike> {
        Ok(Parts::default())
    }

    fn serialize_tuple(self, _len: usize) -> Result<Parts, Unlike> {
        Ok(Parts::default())
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Parts, Unlike> {
        Ok(Parts::default())
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleVariant, Unlike> {
        Err(variants(variant))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Parts, Unlike> {
        Ok(Parts::default())
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Parts, Unlike> {
        Ok(Parts::default())
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeStructVariant, Unlike> {
        Err(variants(variant))
    }
}

fn variants(variant: &str) -> Unlike {
    Unlike(format!("`{variant}` has values of its own: columns have one type"))
}

macro_rules! elements {
    ($($trait:ident $method:ident),*) => {$(
        impl ser::$trait for Parts {
            type Ok = Value;
            type Error = Unlike;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unlike> {
                self.values.push(value.serialize(Writer)?);
                Ok(())
            }

            fn end(self) -> Result<Value, Unlike> {
                Ok(Value::List(self.values))
            }
        }
    )*};
}

elements!(
    SerializeSeq serialize_element, SerializeTuple serialize_element, SerializeTupleStruct serialize_field
);

impl ser::SerializeMap for Parts {
    type Ok = Value;
    type Error = Unlike;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unlike> {
        match key.serialize(Writer)? {
            Value::Text(name) => self.names.push(name),
            other => return Err(Unlike(format!("{other:?} is no name of a field"))),
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unlike> {
        self.values.push(value.serialize(Writer)?);
        Ok(())
    }

    fn end(self) -> Result<Value, Unlike> {
        Ok(self.into_record())
    }
}

impl ser::SerializeStruct for Parts {
    type Ok = Value;
    type Error = Unlike;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Unlike> {
        self.names.push(name.to_owned());
        self.values.push(value.serialize(Writer)?);
        Ok(())
    }

    fn end(self) -> Result<Value, Unlike> {
        Ok(self.into_record())
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::Decimal;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Item {
        name: String,
        price: Decimal,
        size: Option<f64>,
        tags: Vec<String>,
    }

    #[test]
    fn a_struct_goes_there_and_back() {
        let price = "19.90".parse().expect("a number");
        let item = Item { name: "hat".to_owned(), price, size: None, tags: vec!["new".to_owned()] };
        let value = Value::from_serde(&item).expect("a value");
        let tags = Value::list(["new"]);
        let fields = [
            ("name", Value::from("hat")),
            ("price", "19.9".into()),
            ("size", Value::Null),
            ("tags", tags),
        ];
        assert_eq!(value, Value::record(fields));
        assert_eq!(value.to::<Item>(), Ok(item));
        let other = Value::record([("name", 1i64)]).to::<Item>().expect_err("another type");
        assert!(other.to_string().contains("expected a string"), "{other}");
    }
}
