//! What drivers are asked before a request is accepted.

use async_trait::async_trait;
use magnum_domain::driver::{DriverError, Drivers, NodeDemand, Plan, Snapshot};
use magnum_domain::effect::FieldEffect;
use magnum_domain::{ClusterTemplate, Labels, OperationKind};

/// The drivers, seen from the API: none of this changes anything.
#[async_trait]
pub trait Planner: Send + Sync {
    /// Names of the drivers there are, in order of preference.
    fn drivers(&self) -> Vec<&'static str>;

    /// The name of the driver for a template, if there is one.
    fn driver(&self, template: &ClusterTemplate) -> Option<&'static str>;

    /// What becomes of the fields of requests with the template's driver.
    fn field_effects(&self, template: &ClusterTemplate) -> &'static [FieldEffect];

    /// Whether a template can ever make a cluster with its driver.
    ///
    /// # Errors
    /// [`DriverError::Unsupported`] with one line that says what to do.
    fn accepts(&self, template: &ClusterTemplate, labels: &Labels) -> Result<(), DriverError>;

    /// Whether there is a driver for a template.
    ///
    /// # Errors
    /// [`DriverError::Unsupported`] in upstream's words.
    fn supported(&self, template: &ClusterTemplate) -> Result<(), DriverError>;

    /// Whether the template's driver can carry out this kind of operation.
    fn supports(&self, template: &ClusterTemplate, kind: OperationKind) -> bool;

    /// Whether the template's driver can resize the group of masters.
    fn resizes_masters(&self, template: &ClusterTemplate) -> bool;

    /// Whether the nodes that a change asks for can be made here at all.
    ///
    /// # Errors
    /// [`DriverError::Unsupported`] with one line that says what to do.
    async fn preflight(
        &self,
        template: &ClusterTemplate,
        labels: &Labels,
        demand: NodeDemand,
    ) -> Result<(), DriverError>;

    /// What would have to be done to bring about what the snapshot wants.
    ///
    /// # Errors
    /// When it can't be done, or the infrastructure can't be asked.
    async fn plan(&self, snapshot: &Snapshot) -> Result<Plan, DriverError>;
}

/// Asks the drivers of this process.
#[derive(Clone)]
pub struct DriverPlanner(Drivers);

impl DriverPlanner {
    /// Takes the drivers.
    #[must_use]
    pub fn new(drivers: Drivers) -> Self {
        Self(drivers)
    }
}

#[async_trait]
impl Planner for DriverPlanner {
    fn drivers(&self) -> Vec<&'static str> {
        self.0.iter().map(|driver| driver.name()).collect()
    }

    fn driver(&self, template: &ClusterTemplate) -> Option<&'static str> {
        self.0.select(template).ok().map(|driver| driver.name())
    }

    fn field_effects(&self, template: &ClusterTemplate) -> &'static [FieldEffect] {
        self.0.select(template).map_or(&[], |driver| driver.field_effects())
    }

    fn accepts(&self, template: &ClusterTemplate, labels: &Labels) -> Result<(), DriverError> {
        self.0.select(template)?.accepts(template, labels)
    }

    fn supported(&self, template: &ClusterTemplate) -> Result<(), DriverError> {
        self.0.select(template).map(drop)
    }

    fn supports(&self, template: &ClusterTemplate, kind: OperationKind) -> bool {
        self.0.select(template).is_ok_and(|driver| driver.supports(kind))
    }

    fn resizes_masters(&self, template: &ClusterTemplate) -> bool {
        self.0.select(template).is_ok_and(|driver| driver.resizes_masters())
    }

    async fn preflight(
        &self,
        template: &ClusterTemplate,
        labels: &Labels,
        demand: NodeDemand,
    ) -> Result<(), DriverError> {
        self.0.select(template)?.preflight(template, labels, demand).await
    }

    async fn plan(&self, snapshot: &Snapshot) -> Result<Plan, DriverError> {
        self.0.select(&snapshot.template)?.plan(snapshot).await
    }
}
