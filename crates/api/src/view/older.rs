//! Bays and bay models in the document: of the views of today, the fields that their vocabulary has, under its names.

use utoipa::openapi::schema::{ArrayBuilder, Object, ObjectBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::cluster::{FullCluster, ShortCluster};
use super::cluster_template::TemplateView;
use crate::resources::vocabulary::{BAY_MODELS, BAYS, Vocabulary};

/// A thing by its older name, and a page of such things.
macro_rules! shown {
    ($($(#[$doc:meta])* $name:ident, $list:ident => $words:expr, [$($view:ty),+]);+ $(;)?) => {
        $(
            $(#[$doc])*
            pub(crate) struct $name;

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> { older(&$words, [$(<$view>::schema()),+]) }
            }
            impl ToSchema for $name {}

            /// One page.
            pub(crate) struct $list;

            impl PartialSchema for $list {
                fn schema() -> RefOr<Schema> { page(&$words, &$name::name()) }
            }
            impl ToSchema for $list {
                fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                    schemas.push(($name::name().into_owned(), $name::schema()));
                }
            }
        )+
    };
}

shown! {
    /// A cluster as lists have it, by its older name.
    ShortBay, BayList => BAYS, [ShortCluster<'_>];
    /// A cluster, by its older name.
    Bay, DetailedBayList => BAYS, [ShortCluster<'_>, FullCluster<'_>];
    /// A cluster template, by its older name.
    BayModel, BayModelList => BAY_MODELS, [TemplateView<'_>];
}

fn older<const N: usize>(words: &Vocabulary, views: [RefOr<Schema>; N]) -> RefOr<Schema> {
    let fields = views.into_iter().flat_map(objects).flat_map(|object| object.properties);
    let known = fields.filter_map(|(today, schema)| Some((words.name(&today)?.to_owned(), schema)));
    known.fold(ObjectBuilder::new(), |object, (name, schema)| object.property(name, schema)).into()
}

/// The objects that a schema is made of.
fn objects(schema: RefOr<Schema>) -> Vec<Object> {
    match schema {
        RefOr::T(Schema::Object(object)) => vec![object],
        RefOr::T(Schema::AllOf(all)) => all.items.into_iter().flat_map(objects).collect(),
        _ => Vec::new(),
    }
}

fn page(words: &Vocabulary, item: &str) -> RefOr<Schema> {
    let url = ObjectBuilder::new().schema_type(Type::String).description(Some("URL of the next page."));
    ObjectBuilder::new()
        .property(words.collection, ArrayBuilder::new().items(Ref::from_schema_name(item)))
        .property("next", url)
        .into()
}
