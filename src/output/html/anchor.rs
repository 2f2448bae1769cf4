//! Where links within the file lead: ids made of names, the same in every run, so that a link can be mailed.

use std::collections::HashMap;

use crate::output::results::Object;

/// The id of each object, in their order: `shop/Deployment/web`, and `shop/Deployment/web/2` for another of that name.
///
/// A name's own `/` is escaped, so that no two ids are the same.
pub(super) fn of_objects(objects: &[Object]) -> Vec<String> {
    let mut seen: HashMap<String, u64> = HashMap::new();
    let mut ids = Vec::with_capacity(objects.len());
    for object in objects {
        let id = of_object(&object.namespace, &object.kind, &object.name);
        let times = seen.entry(id.clone()).or_default();
        *times += 1;
        ids.push(match times {
            1 => id,
            times => format!("{id}/{times}"),
        });
    }
    ids
}

/// The id of the first object of that name.
pub(super) fn of_object(namespace: &str, kind: &str, name: &str) -> String {
    [namespace, kind, name].map(escaped).join("/")
}

/// The id of the first finding of a control in the object of that id.
pub(super) fn of_control(id: &str, control: &str) -> String {
    format!("{id}:{}", escaped(control))
}

/// The id of a namespace.
pub(super) fn of_namespace(name: &str) -> String {
    format!("namespace/{}", escaped(name))
}

/// Letters, digits, `.`, `_` and `-` as they are, every other byte as `~2f`: good in an id and, unchanged, behind `#`.
fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            out.push(byte.into());
        } else {
            out.push_str(&format!("~{byte:02x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_letters_that_need_no_escape_and_tell_names_apart() {
        assert_eq!(
            of_object("shop", "Deployment", "web"),
            "shop/Deployment/web"
        );
        assert_ne!(of_object("a/b", "c", "d"), of_object("a", "b/c", "d"));
        assert_ne!(of_object("a", "b", "/"), of_object("a", "b", "~2f"));
        assert_eq!(of_object("", "Pod", "\" ü"), "/Pod/~22~20~c3~bc");
        assert_ne!(of_control("a/b/c", "2"), "a/b/c/2");
        assert_eq!(of_namespace("a b"), "namespace/a~20b");
    }
}
