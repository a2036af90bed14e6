//! What becomes of the fields of a request with a driver: nothing that is accepted may be without effect and without a word.

/// What a field belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A cluster template.
    ClusterTemplate,
    /// A cluster.
    Cluster,
    /// A node group.
    Nodegroup,
}

/// What a driver does with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It takes effect.
    Used,
    /// It is kept and shown, and changes nothing about a cluster; whoever sends it is told why.
    Ignored {
        /// Values that say what holds anyway, of which there is nothing to tell.
        unless: &'static [&'static str],
        /// Why, as a clause.
        why: &'static str,
    },
    /// A cluster can't be made with it; whoever sends it is told why, as a clause.
    Refused(&'static str),
}

/// A row of a driver's table of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldEffect {
    /// What the field belongs to.
    pub subject: Subject,
    /// Its name in the API.
    pub name: &'static str,
    /// What becomes of it.
    pub effect: Effect,
}
