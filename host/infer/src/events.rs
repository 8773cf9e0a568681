//! Messages that hold several events: which array of theirs has the records.

use crate::value::Value;

/// Names of arrays of events. Others, such as `items`, are of one record.
const EVENTS: [&str; 12] = [
    "events", "records", "hits", "batch", "logs", "entries", "rows", "results", "messages", "data",
    "value", "log",
];

/// Where the records of messages are.
pub(crate) struct Events {
    /// As `explode` says it: the keys that lead to the array, or `.` for the message itself.
    pub explode: String,
    keys: Vec<String>,
}

impl Events {
    /// Where they are; `None` where each message is one.
    pub(crate) fn find(messages: &[Value]) -> Option<Self> {
        let of_objects = |value: &Value| matches!(value, Value::List(all) if all.iter().all(|e| matches!(e, Value::Object(_))));
        let is_list = |value: &Value| matches!(value, Value::List(_));
        if messages.iter().any(is_list) {
            let fits = |message: &Value| of_objects(message) || matches!(message, Value::Object(_));
            return messages
                .iter()
                .all(fits)
                .then(|| Self { explode: ".".to_owned(), keys: Vec::new() });
        }
        let Some(Value::Object(first)) = messages.first() else { return None };
        let named = |key: &str| EVENTS.contains(&key.to_ascii_lowercase().as_str());
        let mut candidates: Vec<Vec<String>> = Vec::new();
        for (key, value) in first.iter().filter(|(key, _)| named(key)) {
            candidates.push(vec![key.clone()]);
            if let Value::Object(inner) = value {
                let inner = inner.iter().filter(|(key, _)| named(key));
                candidates.extend(inner.map(|(within, _)| vec![key.clone(), within.clone()]));
            }
        }
        candidates.into_iter().find_map(|keys| {
            let at =
                |message| keys.iter().try_fold(message, |value: &Value, key| value.member(key));
            let fits = messages.iter().all(|message| at(message).is_some_and(of_objects));
            let some = messages
                .iter()
                .any(|message| matches!(at(message), Some(Value::List(all)) if !all.is_empty()));
            (fits && some).then(|| Self { explode: keys.join("."), keys: keys.clone() })
        })
    }

    /// The records of a message.
    pub(crate) fn of<'a>(&self, message: &'a Value) -> &'a [Value] {
        let array = self.keys.iter().try_fold(message, |value, key| value.member(key));
        match array {
            Some(Value::List(records)) => records,
            Some(one) => std::slice::from_ref(one),
            None => &[],
        }
    }

    /// What is around them in a message: its members but for the one that leads to them.
    pub(crate) fn around(&self, message: &Value) -> Option<Value> {
        let (Value::Object(members), Some(first)) = (message, self.keys.first()) else {
            return None;
        };
        let others = members.iter().filter(|(key, _)| key != first);
        Some(Value::Object(others.cloned().collect()))
    }
}
