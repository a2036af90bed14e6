//! What bodies may hold, as tables, and the reading of bodies by them.
//!
//! [`table`] has one [`FieldSpec`] table for each resource. From it come the checks, upstream's messages, defaults of
//! removed attributes and the schemas of the OpenAPI document ([`schema`]).

pub(crate) mod address;
pub(crate) mod older;
pub(crate) mod read;
pub(crate) mod schema;
pub(crate) mod table;

use address::AddressType;
pub(crate) use read::{Body, one, read};

use crate::options::SizeLimits;

/// What a field may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FieldType {
    /// Text of so many characters.
    Text {
        /// Fewest.
        min: usize,
        /// Most.
        max: usize,
    },
    /// Text by which a cluster is named: `^[a-zA-Z][a-zA-Z0-9_.-]*$`, so many characters at most.
    Name {
        /// Most.
        max: usize,
    },
    /// Addresses, in 255 characters at most.
    Address(AddressType),
    /// Text of any length; may have several lines.
    FreeText,
    /// A whole number within bounds.
    Integer {
        /// Smallest.
        min: i32,
        /// Greatest.
        max: i32,
    },
    /// A whole number of something that the operator limits.
    Amount {
        /// Smallest.
        min: i32,
        /// Of what.
        of: Measure,
    },
    /// Yes or no, in every spelling of §2 of the reference.
    Boolean,
    /// One of some words.
    Word(&'static [&'static str]),
    /// A UUID.
    Uuid,
    /// Text to scalar; scalars are kept as the text Python prints.
    Dictionary,
    /// Texts.
    Texts,
    /// Taints: objects with `key`, `effect` and perhaps `value`.
    Taints,
    /// IPv4 addresses, separated by commas.
    NameServers,
    /// Anything: it is not looked at.
    Anything,
}

/// What a request may ask for so many of, by limits that the operator sets: the one rule for bodies, patches, labels and
/// older names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Nodes of one group, and bounds and batches of them.
    Nodes,
    /// GB of one volume.
    Gigabytes,
    /// Minutes of one operation.
    Minutes,
}

impl Measure {
    /// The greatest number, and the option of `[limits]` that says so.
    pub(crate) fn most(self, sizes: &SizeLimits) -> (i32, &'static str) {
        let (most, option) = match self {
            Self::Nodes => (sizes.nodes_per_nodegroup, "max_nodes_per_nodegroup"),
            Self::Gigabytes => (sizes.volume_gigabytes, "max_volume_size"),
            Self::Minutes => (sizes.timeout_minutes, "max_create_timeout"),
        };
        (i32::try_from(most).unwrap_or(i32::MAX), option)
    }
}

/// Who may set a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Must be there.
    Mandatory,
    /// May be there.
    Optional,
    /// The server's own: refused.
    ReadOnly,
    /// The server's own, yet clients send it: checked for its type and then left alone.
    Ignored,
}

/// What an explicit null means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Null {
    /// Nothing: it is kept.
    Nothing,
    /// As if the field were not there. Clients send null for nearly everything they were not told.
    Preset,
    /// It is refused.
    Refused,
}

/// What stands for a field that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Preset {
    /// Nothing.
    Null,
    /// Yes or no.
    Boolean(bool),
    /// A number.
    Integer(i32),
    /// A word.
    Word(&'static str),
    /// An empty dictionary.
    Dictionary,
}

/// One field of a body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FieldSpec {
    /// Its key.
    pub(crate) name: &'static str,
    /// What it may hold.
    pub(crate) kind: FieldType,
    /// Who may set it.
    pub(crate) access: Access,
    /// What an explicit null means.
    pub(crate) null: Null,
    /// What stands for it when it is not there.
    pub(crate) preset: Preset,
    /// What it means.
    pub(crate) about: &'static str,
}

impl FieldSpec {
    const fn new(name: &'static str, kind: FieldType, about: &'static str) -> Self {
        Self { name, kind, access: Access::Optional, null: Null::Nothing, preset: Preset::Null, about }
    }

    const fn mandatory(mut self) -> Self {
        self.access = Access::Mandatory;
        self.null = Null::Refused;
        self
    }

    const fn read_only(name: &'static str) -> Self {
        let mut field = Self::new(name, FieldType::Anything, "Set by the server.");
        field.access = Access::ReadOnly;
        field
    }

    const fn ignored(name: &'static str, kind: FieldType) -> Self {
        let mut field = Self::new(name, kind, "Accepted and left alone: the server's own.");
        field.access = Access::Ignored;
        field
    }

    const fn or(mut self, preset: Preset) -> Self {
        self.preset = preset;
        self
    }

    const fn null_is_preset(mut self) -> Self {
        self.null = Null::Preset;
        self
    }

    const fn not_null(mut self) -> Self {
        self.null = Null::Refused;
        self
    }
}

/// The fields of one body.
pub(crate) struct BodySpec {
    /// The name upstream's messages give the body.
    pub(crate) argument: &'static str,
    /// The fields.
    pub(crate) fields: &'static [FieldSpec],
}

impl BodySpec {
    /// The field of a name.
    pub(crate) fn field(&self, name: &str) -> Option<&'static FieldSpec> {
        self.fields.iter().find(|field| field.name == name)
    }
}
