//! Who is asking.

use serde::Serialize;

use crate::Credential;

/// The authenticated sender of a request, as every identity back-end describes it.
///
/// The field names are those that policy rules refer to (`user_id:%(user_id)s`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Caller {
    /// Identity of the user; empty only for internal work.
    pub user_id: String,
    /// Name of the user.
    pub user_name: String,
    /// Domain of the user.
    pub user_domain_id: String,
    /// Name of the user's domain.
    pub user_domain_name: String,
    /// Project the token is scoped to, if any.
    pub project_id: Option<String>,
    /// Name of that project.
    pub project_name: Option<String>,
    /// Domain of that project.
    pub project_domain_id: Option<String>,
    /// Role names, as the identity service spells them, implied roles included.
    pub roles: Vec<String>,
    /// `all` for a system-scoped token.
    pub system_scope: Option<String>,
    /// Outcome of the `context_is_admin` policy rule: widens reads over all projects.
    pub is_admin: bool,
    /// Their token, where other services are to be asked in their name. Never written anywhere.
    #[serde(skip)]
    pub credential: Option<Credential>,
    /// Id under which other services are to know the request that is being served: `req-` and a UUID.
    #[serde(skip)]
    pub request_id: Option<String>,
}
