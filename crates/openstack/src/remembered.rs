//! What was found a moment ago is not asked for again.
//!
//! Whoever makes templates or clusters in a row names the same image each time, and asking for it costs a cloud many times
//! what the rest of the request costs. So a thing that was found is believed to be there for some seconds. Only the token
//! that found it may believe so: what somebody may see is for the service to say, and it says so of a token. Nothing else
//! is remembered: what was missing a moment ago may just have been made, and a service that failed may be back.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::digest;
use magnum_domain::Caller;
use magnum_domain::cloud::{CloudLookup, Flavor, Image, LookupError, Thing};
use moka::future::Cache;
use secrecy::ExposeSecret;

/// Things that are remembered at most; some hundred bytes each.
const MOST: u64 = 10_000;

/// A cloud whose finds are believed for a while.
#[derive(Debug)]
pub struct Remembered<C> {
    cloud: C,
    images: Cache<Key, Image>,
    flavors: Cache<Key, Flavor>,
    /// Things of which it matters only that they are there.
    others: Cache<Key, ()>,
}

/// SHA-256 of the token, what was looked up, and its name.
type Key = ([u8; 32], Thing, String);

impl<C: CloudLookup> Remembered<C> {
    /// What `cloud` finds is believed for `time`.
    #[must_use]
    pub fn new(cloud: C, time: Duration) -> Self {
        fn empty<V: Clone + Send + Sync + 'static>(time: Duration) -> Cache<Key, V> {
            Cache::builder().max_capacity(MOST).time_to_live(time).build()
        }
        Self { cloud, images: empty(time), flavors: empty(time), others: empty(time) }
    }
}

/// The find that is remembered, or else what `look` finds. Those who look for the same at the same time look once.
async fn found<V: Clone + Send + Sync + 'static>(
    known: &Cache<Key, V>,
    caller: &Caller,
    thing: Thing,
    name: &str,
    look: impl Future<Output = Result<V, LookupError>>,
) -> Result<V, LookupError> {
    let Some(credential) = &caller.credential else { return look.await };
    let mut token = [0; 32];
    token.copy_from_slice(digest::digest(&digest::SHA256, credential.token().expose_secret().as_bytes()).as_ref());
    known.try_get_with((token, thing, name.to_owned()), look).await.map_err(Arc::unwrap_or_clone)
}

#[async_trait]
impl<C: CloudLookup> CloudLookup for Remembered<C> {
    async fn image(&self, caller: &Caller, name: &str) -> Result<Image, LookupError> {
        found(&self.images, caller, Thing::Image, name, self.cloud.image(caller, name)).await
    }

    async fn flavor(&self, caller: &Caller, name: &str) -> Result<Flavor, LookupError> {
        found(&self.flavors, caller, Thing::Flavor, name, self.cloud.flavor(caller, name)).await
    }

    async fn external_network(&self, caller: &Caller, name: &str) -> Result<(), LookupError> {
        let look = self.cloud.external_network(caller, name);
        found(&self.others, caller, Thing::ExternalNetwork, name, look).await
    }

    async fn fixed_network(&self, caller: &Caller, name: &str) -> Result<(), LookupError> {
        found(&self.others, caller, Thing::FixedNetwork, name, self.cloud.fixed_network(caller, name)).await
    }

    async fn fixed_subnet(&self, caller: &Caller, name: &str) -> Result<(), LookupError> {
        found(&self.others, caller, Thing::FixedSubnet, name, self.cloud.fixed_subnet(caller, name)).await
    }

    async fn keypair(&self, caller: &Caller, name: &str) -> Result<(), LookupError> {
        found(&self.others, caller, Thing::Keypair, name, self.cloud.keypair(caller, name)).await
    }

    async fn project(&self, caller: &Caller, id: &str) -> Result<(), LookupError> {
        found(&self.others, caller, Thing::Project, id, self.cloud.project(caller, id)).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use magnum_domain::Credential;

    use super::*;

    /// Has everything but what is called `missing`, and keeps what it was asked.
    #[derive(Default)]
    struct Asked(Mutex<Vec<String>>);

    impl Asked {
        fn look<T>(&self, thing: Thing, name: &str, found: T) -> Result<T, LookupError> {
            self.0.lock().unwrap().push(format!("{thing:?} {name}"));
            if name == "missing" { Err(LookupError::NotFound { thing, name: name.to_owned() }) } else { Ok(found) }
        }
    }

    #[async_trait]
    impl CloudLookup for Asked {
        async fn image(&self, _: &Caller, name: &str) -> Result<Image, LookupError> {
            let image = Image { id: "i".into(), name: name.into(), os_distro: None, magnum_driver: None };
            self.look(Thing::Image, name, image)
        }
        async fn flavor(&self, _: &Caller, name: &str) -> Result<Flavor, LookupError> {
            self.look(Thing::Flavor, name, Flavor { id: "f".into(), name: name.into(), disk: 1 })
        }
        async fn external_network(&self, _: &Caller, name: &str) -> Result<(), LookupError> {
            self.look(Thing::ExternalNetwork, name, ())
        }
        async fn fixed_network(&self, _: &Caller, name: &str) -> Result<(), LookupError> {
            self.look(Thing::FixedNetwork, name, ())
        }
        async fn fixed_subnet(&self, _: &Caller, name: &str) -> Result<(), LookupError> {
            self.look(Thing::FixedSubnet, name, ())
        }
        async fn keypair(&self, _: &Caller, name: &str) -> Result<(), LookupError> {
            self.look(Thing::Keypair, name, ())
        }
        async fn project(&self, _: &Caller, id: &str) -> Result<(), LookupError> {
            self.look(Thing::Project, id, ())
        }
    }

    /// Looks all kinds of things up by one name; how many questions that led to.
    async fn questions(remembered: &Remembered<Asked>, caller: &Caller, name: &str) -> usize {
        let count = || remembered.cloud.0.lock().unwrap().len();
        let before = count();
        let found = [
            remembered.image(caller, name).await.map(drop),
            remembered.flavor(caller, name).await.map(drop),
            remembered.external_network(caller, name).await,
            remembered.fixed_network(caller, name).await,
            remembered.fixed_subnet(caller, name).await,
            remembered.keypair(caller, name).await,
            remembered.project(caller, name).await,
        ];
        assert!(found.iter().all(|found| found.is_ok() == (name != "missing")), "{found:?}");
        count() - before
    }

    #[tokio::test]
    async fn a_token_is_told_again_what_it_has_found() {
        let remembered = Remembered::new(Asked::default(), Duration::from_secs(3600));
        let with = |token: &str| Caller {
            credential: Some(Credential::new(token.into(), Vec::new())),
            project_id: Some("p".into()),
            ..Caller::default()
        };
        // The second has the first one's token once more, as each request has.
        let (first, same, other, none) = (with("t"), with("t"), with("u"), Caller::default());
        let table = [
            ("looked for the first time", &first, "a", 7),
            ("found before", &same, "a", 0),
            ("another name", &first, "b", 7),
            ("another token of the same project", &other, "a", 7),
            ("not found", &first, "missing", 7),
            ("not found before", &first, "missing", 7),
            ("no token", &none, "a", 7),
            ("no token again", &none, "a", 7),
        ];
        for (what, caller, name, expected) in table {
            assert_eq!(questions(&remembered, caller, name).await, expected, "{what}");
        }
    }

    #[tokio::test]
    async fn those_who_look_at_the_same_time_look_once() {
        let remembered = Remembered::new(Asked::default(), Duration::from_secs(3600));
        let caller = Caller { credential: Some(Credential::new("t".into(), Vec::new())), ..Caller::default() };
        let (one, two) = futures::join!(remembered.image(&caller, "a"), remembered.image(&caller, "a"));
        assert_eq!(one, two);
        assert_eq!(remembered.cloud.0.into_inner().unwrap(), ["Image a"]);
    }
}
