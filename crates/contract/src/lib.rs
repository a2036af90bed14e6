//! Holds an HTTP API to its OpenAPI document (3.1): every exchange of a test is looked up in the document, and whatever
//! the document does not say is a violation.
//!
//! For tests only. [`held`] puts it around a router, so that every request of a test suite is checked without a word in
//! the tests; [`Contract::check`] takes an exchange that came from elsewhere, such as a recording; [`Contract::audit`]
//! looks at the document itself.
//!
//! What is checked of an exchange:
//!
//! - the operation is in the document; what matches none is answered as `x-unrouted` of the document has it
//! - the status is documented for it, and so are the type of content and every header
//! - the body and the headers fit their JSON Schemas (2020-12, formats included); no header that must be there is missing
//! - a request that was served (2xx) was one the document allows: parameters, type of content and body

mod audit;
mod exchange;
mod layer;
mod operation;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::{Registry, Validator};
use serde_json::{Value, json};

pub use exchange::Exchange;
pub use layer::held;
pub use operation::Operation;

/// What the document is called where schemas refer to it.
const DOCUMENT: &str = "urn:openapi:document";

/// Why a document can't be used at all.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// Not a document of the form that is understood here.
    #[error("the OpenAPI document can't be used: {0}")]
    Document(String),
}

/// Something the document does not say, or says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// `METHOD path`, as the document has it where the operation is known.
    pub operation: String,
    /// In words.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.what)
    }
}

/// A document, ready to be held against exchanges.
pub struct Contract {
    document: Value,
    operations: Vec<Operation>,
    registry: Registry<'static>,
    /// By JSON pointer. Made when they are first needed: a test rarely needs more than a few.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
    canonical: fn(&str) -> String,
}

impl Contract {
    /// Reads a document.
    ///
    /// # Errors
    /// `ContractError` when it has no operations or can't be referred to.
    pub fn new(document: &Value) -> Result<Self, ContractError> {
        let operations = operation::all(document);
        if operations.is_empty() {
            return Err(ContractError::Document("it has no operations".to_owned()));
        }
        let registry = Registry::new()
            .add(DOCUMENT, document.clone())
            .and_then(jsonschema::RegistryBuilder::prepare)
            .map_err(|error| ContractError::Document(error.to_string()))?;
        Ok(Self {
            document: document.clone(),
            operations,
            registry,
            validators: Mutex::default(),
            canonical: str::to_owned,
        })
    }

    /// Reads paths as the server does that takes several spellings for one: `canonical` answers that of the document.
    #[must_use]
    pub fn reading(mut self, canonical: fn(&str) -> String) -> Self {
        self.canonical = canonical;
        self
    }

    /// All operations, in the order of the document.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The value at a JSON pointer, or where a reference there leads; with the pointer at which it really is.
    fn resolve(&self, pointer: &str) -> Option<(String, &Value)> {
        let value = self.document.pointer(pointer)?;
        match value.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.resolve(reference.strip_prefix('#')?),
            None => Some((pointer.to_owned(), value)),
        }
    }

    /// What is wrong with a value by the schema at a JSON pointer.
    fn faults(&self, pointer: &str, value: &Value) -> Vec<String> {
        match self.validator(pointer) {
            Ok(validator) => validator
                .iter_errors(value)
                .map(|error| format!("at `{}`: {}", error.instance_path(), shorten(&error.to_string())))
                .collect(),
            Err(error) => vec![format!("the schema at {pointer} is none: {error}")],
        }
    }

    fn validator(&self, pointer: &str) -> Result<Arc<Validator>, String> {
        let mut known = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(validator) = known.get(pointer) {
            return Ok(Arc::clone(validator));
        }
        // Braces are no part of a URI.
        let fragment = pointer.replace('{', "%7B").replace('}', "%7D");
        let schema = json!({ "$ref": format!("{DOCUMENT}#{fragment}") });
        let built = jsonschema::draft202012::options()
            .should_validate_formats(true)
            .with_registry(&self.registry)
            .build(&schema)
            .map_err(|error| error.to_string())?;
        let built = Arc::new(built);
        known.insert(pointer.to_owned(), Arc::clone(&built));
        Ok(built)
    }
}

/// A segment of a JSON pointer.
fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

/// A message that may quote a whole body, cut to what helps.
fn shorten(text: &str) -> String {
    const MOST: usize = 400;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
