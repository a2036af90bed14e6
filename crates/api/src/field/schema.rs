//! The tables of fields as schemas of the OpenAPI document.

use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AdditionalProperties, AnyOfBuilder, ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type,
};
use utoipa::{PartialSchema, ToSchema};

use super::read::{ENTRIES, FREE_TEXT};
use super::{Access, BodySpec, FieldSpec, FieldType, Null, older, table};

/// Bodies by name: what `request_body` of a handler refers to.
macro_rules! bodies {
    ($($(#[$doc:meta])* $name:ident => $spec:expr),+ $(,)?) => {
        $(
            $(#[$doc])*
            pub(crate) struct $name;

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> { body(&$spec) }
            }
            impl ToSchema for $name {}
        )+
    };
}

bodies! {
    /// A cluster template to make.
    ClusterTemplateBody => table::CLUSTER_TEMPLATE,
    /// A cluster to make.
    ClusterBody => table::CLUSTER,
    /// A new size.
    ResizeBody => table::RESIZE,
    /// A template to move to.
    UpgradeBody => table::UPGRADE,
    /// A node group to make.
    NodegroupBody => table::NODEGROUP,
    /// A certificate to sign.
    CertificateBody => table::CERTIFICATE,
    /// A quota.
    QuotaBody => table::QUOTA,
    /// A federation.
    FederationBody => table::FEDERATION,
    /// A cluster to make, by its older name.
    BayBody => older::BAY,
    /// A cluster template to make, by its older name.
    BayModelBody => older::BAY_MODEL,
}

fn body(spec: &BodySpec) -> RefOr<Schema> {
    let mut object = ObjectBuilder::new().additional_properties(Some(AdditionalProperties::FreeForm(false)));
    for field in spec.fields {
        object = object.property(field.name, property(field));
        // The engine is asked for by a rule, not by the table.
        if field.access == Access::Mandatory || field.name == "coe" {
            object = object.required(field.name);
        }
    }
    object.into()
}

/// No control characters; `LAYOUT` lets tabs and line ends pass.
const PRINTABLE: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$";
const LAYOUT: &str = "^[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u009f]*$";
/// What `int()` of Python takes.
const DIGITS: &str = r"^\s*[+-]?[0-9]+\s*$";
/// §2 of the reference.
const YES_OR_NO: &str =
    r"^\s*([01tTfFyYnN]|[tT][rR][uU][eE]|[fF][aA][lL][sS][eE]|[oO][nN]|[oO][fF][fF]|[yY][eE][sS]|[nN][oO])\s*$";
/// A UUID in each of its spellings.
const UUID: &str = "^(urn:uuid:)?[{]?[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}[}]?$";

fn property(field: &FieldSpec) -> RefOr<Schema> {
    let is_nullable = field.null != Null::Refused;
    let about = Some(field.about);
    let typed = |kind: Type| {
        let kinds = if is_nullable { SchemaType::from_iter([kind, Type::Null]) } else { kind.into() };
        ObjectBuilder::new().description(about).schema_type(kinds)
    };
    if field.access == Access::ReadOnly {
        // Clients send back what they were shown, with null for what they must not set.
        return ObjectBuilder::new().description(Some("Set by the server.")).schema_type(Type::Null).into();
    }
    match field.kind {
        FieldType::Text { min, max } => {
            typed(Type::String).min_length(Some(min)).max_length(Some(max)).pattern(Some(PRINTABLE)).into()
        }
        FieldType::Address(kind) => {
            typed(Type::String).min_length(Some(kind.fewest())).max_length(Some(255)).pattern(Some(PRINTABLE)).into()
        }
        FieldType::Name { max } => typed(Type::String)
            .min_length(Some(1))
            .max_length(Some(max))
            .pattern(Some("^[a-zA-Z][a-zA-Z0-9_.-]*$"))
            .into(),
        FieldType::FreeText => typed(Type::String).max_length(Some(FREE_TEXT)).pattern(Some(LAYOUT)).into(),
        FieldType::NameServers => typed(Type::String)
            .max_length(Some(255))
            .pattern(Some(r"^\s*[0-9]+(\.[0-9]+){3}\s*(,\s*[0-9]+(\.[0-9]+){3}\s*)*$"))
            .into(),
        FieldType::Integer { .. } | FieldType::Amount { .. } => {
            let (min, max) = match field.kind {
                FieldType::Integer { min, max } => (min, max),
                // The greatest is the operator's to say.
                FieldType::Amount { min, .. } => (min, i32::MAX),
                _ => (0, i32::MAX),
            };
            let other = ObjectBuilder::new()
                .description(Some(
                    "Taken too: digits in a text, a number with a fraction (which is cut off), true for 1.",
                ))
                .schema_type(SchemaType::from_iter([Type::Number, Type::String, Type::Boolean]))
                .exclusive_minimum(Some(f64::from(min) - 1.0))
                .exclusive_maximum(Some(f64::from(max) + 1.0))
                .pattern(Some(DIGITS));
            let own = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(min)).maximum(Some(max));
            any(field, is_nullable, [own, other])
        }
        FieldType::Boolean => {
            let word = ObjectBuilder::new()
                .description(Some("Taken too: `true`, `t`, `yes`, `y`, `on`, `1` and their opposites, in any case."))
                .schema_type(Type::String)
                .pattern(Some(YES_OR_NO));
            let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(1));
            any(field, is_nullable, [ObjectBuilder::new().schema_type(Type::Boolean), word, number])
        }
        FieldType::Word(words) => {
            let words = words.iter().map(|word| Value::from(*word));
            typed(Type::String).enum_values(Some(words.chain(is_nullable.then_some(Value::Null)))).into()
        }
        FieldType::Uuid => typed(Type::String).pattern(Some(UUID)).into(),
        FieldType::Dictionary => typed(Type::Object)
            .max_properties(Some(ENTRIES))
            .property_names(Some(
                ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).pattern(Some(PRINTABLE)).build(),
            ))
            .additional_properties(Some(AdditionalProperties::RefOr(scalar())))
            .into(),
        FieldType::Texts => list(field, is_nullable, ObjectBuilder::new().schema_type(Type::String)),
        FieldType::Taints => list(field, is_nullable, taint()),
        FieldType::Anything => ObjectBuilder::new().schema_type(SchemaType::AnyValue).into(),
    }
}

/// One of several spellings.
fn any(field: &FieldSpec, is_nullable: bool, of: impl IntoIterator<Item = ObjectBuilder>) -> RefOr<Schema> {
    let null = is_nullable.then(|| ObjectBuilder::new().schema_type(Type::Null));
    let all = of.into_iter().chain(null);
    all.fold(AnyOfBuilder::new().description(Some(field.about)), |any, one| any.item(one)).into()
}

fn list(field: &FieldSpec, is_nullable: bool, items: impl Into<RefOr<Schema>>) -> RefOr<Schema> {
    let kinds = if is_nullable { SchemaType::from_iter([Type::Array, Type::Null]) } else { Type::Array.into() };
    let list = ArrayBuilder::new().schema_type(kinds).description(Some(field.about)).max_items(Some(ENTRIES));
    list.items(items.into()).into()
}

/// What a label may be sent as; it is kept as text.
fn scalar() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Number, Type::Boolean])).into()
}

fn taint() -> ObjectBuilder {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    ObjectBuilder::new()
        .property("key", text())
        .property("value", text())
        .property("effect", text().enum_values(Some(["NoSchedule", "PreferNoSchedule", "NoExecute"])))
        .required("key")
        .required("effect")
}
