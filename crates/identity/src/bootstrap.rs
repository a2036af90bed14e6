//! The first users, projects and roles.

use magnum_store::identity::{Extra, FirstStart, Grant, GrantScope, PasswordHash, Project, Role, User};
use secrecy::SecretString;
use uuid::Uuid;

use crate::built_in::{BuiltIn, IdentityError};
use crate::field;
use crate::role::{ADMIN, FIXED, MEMBER};

/// What the first start makes, besides the roles `admin`, `member`, `reader` and `service`.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    /// Of the user `admin`, who has the role `admin` in the project `admin`, in the domain and in the system.
    pub admin_password: SecretString,
    /// Of the user `demo`, who has the role `member` in the project `demo`. Without one there is no such user, but
    /// the project is there, and `admin` has the role `admin` in it.
    pub demo_password: Option<SecretString>,
}

/// What [`BuiltIn::bootstrap`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bootstrapped {
    /// It was the first start: the passwords given are those of the users.
    First,
    /// There were users already. Nothing was changed, whatever passwords were given.
    Before,
}

impl BuiltIn {
    /// Makes the first users, projects and roles, all or nothing, unless an earlier start has done so. What was
    /// changed or removed since then stays so.
    ///
    /// # Errors
    /// [`IdentityError::Password`] for one that nobody can have, and those of the store.
    pub async fn bootstrap(&self, bootstrap: &Bootstrap) -> Result<Bootstrapped, IdentityError> {
        if self.tables().has_role_named(ADMIN).await? {
            return Ok(Bootstrapped::Before);
        }
        let admin = self.first_user("admin", &bootstrap.admin_password);
        let demo = async {
            match &bootstrap.demo_password {
                Some(password) => self.first_user("demo", password).await.map(Some),
                None => Ok(None),
            }
        };
        // Hashing is what a first start spends most of its time with.
        let (admin, demo) = tokio::try_join!(admin, demo)?;
        let first = first_start(admin, demo);
        let first = self.tables().first_start(&first).await?;
        Ok(if first { Bootstrapped::First } else { Bootstrapped::Before })
    }

    async fn first_user(&self, name: &str, password: &SecretString) -> Result<User, IdentityError> {
        Ok(User {
            id: new_id(),
            name: name.to_owned(),
            enabled: true,
            password_hash: Some(self.hash_checked(password.clone()).await?),
            default_project_id: None,
            epoch: 0,
            extra: Extra::new(),
            created_at: magnum_domain::now(),
        })
    }

    pub(crate) async fn hash_checked(&self, password: SecretString) -> Result<PasswordHash, IdentityError> {
        let failed = |refusal: crate::error::Refusal| IdentityError::Password(refusal.to_string());
        field::secret(&password).map_err(failed)?;
        self.hasher().hash(password).await.map_err(failed)
    }
}

fn first_start(admin: User, demo: Option<User>) -> FirstStart {
    let roles = FIXED.map(|(name, _)| Role { id: new_id(), name: name.to_owned(), description: None });
    let projects =
        [("admin", "For administration"), ("demo", "To try things out")].map(|(name, description)| Project {
            id: new_id(),
            name: name.to_owned(),
            description: description.to_owned(),
            enabled: true,
            tags: Vec::new(),
            extra: Extra::new(),
            created_at: magnum_domain::now(),
        });
    let role_id = |name: &str| roles.iter().find(|role| role.name == name).map(|role| role.id.clone());
    let mut grants = Vec::new();
    let mut give = |user: &User, role: &str, scope: GrantScope| {
        grants.extend(role_id(role).map(|role_id| Grant { user_id: user.id.clone(), scope, role_id }));
    };
    for scope in [GrantScope::System, GrantScope::Domain] {
        give(&admin, ADMIN, scope);
    }
    for project in &projects {
        give(&admin, ADMIN, GrantScope::Project(project.id.clone()));
        if project.name == "demo"
            && let Some(demo) = &demo
        {
            give(demo, MEMBER, GrantScope::Project(project.id.clone()));
        }
    }
    let users = [Some(admin), demo].into_iter().flatten().collect();
    FirstStart { roles: roles.into(), projects: projects.into(), users, grants }
}

fn new_id() -> String {
    Uuid::new_v4().simple().to_string()
}
