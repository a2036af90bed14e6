//! The tables of fields as schemas of the OpenAPI document.

use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use super::{Access, BodySpec, FieldSpec, Kind, Null, table};

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
}

fn body(spec: &BodySpec) -> RefOr<Schema> {
    let mut object = ObjectBuilder::new().additional_properties(Some(AdditionalProperties::FreeForm(false)));
    for field in spec.fields.iter().filter(|field| field.access != Access::ReadOnly) {
        object = object.property(field.name, property(field));
        // The engine is asked for by a rule, not by the table.
        if field.access == Access::Mandatory || field.name == "coe" {
            object = object.required(field.name);
        }
    }
    object.into()
}

fn property(field: &FieldSpec) -> RefOr<Schema> {
    let typed = |kind: Type| {
        let builder = ObjectBuilder::new().description(Some(field.about));
        if field.null != Null::Refused {
            builder.schema_type(SchemaType::from_iter([kind, Type::Null]))
        } else {
            builder.schema_type(kind)
        }
    };
    match field.kind {
        Kind::Text { min, max } => typed(Type::String).min_length(Some(min)).max_length(Some(max)).into(),
        Kind::Name { max } => typed(Type::String)
            .min_length(Some(1))
            .max_length(Some(max))
            .pattern(Some("^[a-zA-Z][a-zA-Z0-9_.-]*$"))
            .into(),
        Kind::FreeText | Kind::NameServers => typed(Type::String).into(),
        Kind::Integer { min, max } => typed(Type::Integer).minimum(Some(min)).maximum(Some(max)).into(),
        Kind::Boolean => typed(Type::Boolean).into(),
        Kind::Word(words) => typed(Type::String).enum_values(Some(words.iter().copied())).into(),
        Kind::Uuid => typed(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid))).into(),
        Kind::Dictionary => {
            typed(Type::Object).additional_properties(Some(AdditionalProperties::RefOr(scalar()))).into()
        }
        Kind::Texts => ArrayBuilder::new()
            .items(ObjectBuilder::new().schema_type(Type::String))
            .description(Some(field.about))
            .into(),
        Kind::Taints => ArrayBuilder::new().items(taint()).description(Some(field.about)).into(),
        Kind::Anything => ObjectBuilder::new().schema_type(SchemaType::AnyValue).into(),
    }
}

/// What a label may be sent as; it is kept as text.
fn scalar() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Number, Type::Boolean])).into()
}

fn taint() -> RefOr<Schema> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    ObjectBuilder::new()
        .property("key", text())
        .property("value", text())
        .property("effect", text().enum_values(Some(["NoSchedule", "PreferNoSchedule", "NoExecute"])))
        .required("key")
        .required("effect")
        .into()
}
