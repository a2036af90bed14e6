//! Answers to dry runs.

use magnum_domain::driver::Plan;
use serde::Serialize;
use utoipa::ToSchema;

/// What would be done, and was not.
#[derive(Serialize, ToSchema)]
pub(crate) struct PlanView<'a> {
    /// Always true.
    dry_run: bool,
    /// Stages one after another, the steps of a stage side by side.
    #[schema(value_type = Vec<Vec<StepView>>)]
    stages: Vec<Vec<StepView<'a>>>,
}

/// One piece of work.
#[derive(Serialize, ToSchema)]
pub(crate) struct StepView<'a> {
    /// What kind of work.
    kind: &'a str,
    /// In words.
    title: &'a str,
}

impl<'a> PlanView<'a> {
    /// The view of a plan. The nodes of a dry run are imagined, so their identities are left out.
    pub(crate) fn new(plan: &'a Plan) -> Self {
        let step = |step: &'a magnum_domain::driver::Step| StepView { kind: &step.kind, title: &step.title };
        Self { dry_run: true, stages: plan.stages.iter().map(|stage| stage.iter().map(step).collect()).collect() }
    }
}
