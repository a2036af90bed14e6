//! Whose rows, which row, which page.

use sea_orm::sea_query::{Alias, Expr, ExprTrait, IntoColumnRef, NullOrdering, Order, Query, SelectStatement};
use sea_orm::{ColumnTrait, Condition, EntityTrait, IdenStatic, Iterable, QueryFilter, QuerySelect, Select};
use uuid::Uuid;

use crate::{Result, Store, StoreError};

/// Whose clusters are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Those of every project.
    All,
    /// Those of one project.
    Project(String),
}

/// What a path or body says to name one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ident {
    /// Something that reads as a UUID.
    Uuid(Uuid),
    /// Anything else.
    Name(String),
    /// A database key, where those are allowed.
    Id(i64),
}

impl Ident {
    /// Reads a UUID, in every spelling that upstream takes for one, or else a name.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        crate::uuid_column::read(text).map_or_else(|| Self::Name(text.to_owned()), Self::Uuid)
    }

    /// As [`Self::parse`], but digits are a database key: node groups, and the template in cluster create.
    #[must_use]
    pub fn parse_with_id(text: &str) -> Self {
        match text.parse::<i64>() {
            // "007" and "+7" are names, as Python's int-likeness has it.
            Ok(id) if id.to_string() == text => Self::Id(id),
            _ => Self::parse(text),
        }
    }
}

impl From<Uuid> for Ident {
    fn from(uuid: Uuid) -> Self {
        Self::Uuid(uuid)
    }
}

impl std::fmt::Display for Ident {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Uuid(uuid) => uuid.fmt(f),
            Self::Name(name) => name.fmt(f),
            Self::Id(id) => id.fmt(f),
        }
    }
}

/// Direction of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SortDir {
    /// Smallest first, null before everything.
    #[default]
    Asc,
    /// Greatest first, null after everything.
    Desc,
}

/// One page of a list, ordered by (sort key, id).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Greatest number of rows.
    pub limit: u64,
    /// Last row of the page before: a UUID; for quotas the integer id.
    pub marker: Option<String>,
    /// Name of a column.
    pub sort_key: String,
    /// Direction, of the id as well.
    pub sort_dir: SortDir,
}

impl Page {
    /// The first `limit` rows by id.
    #[must_use]
    pub fn first(limit: u64) -> Self {
        Self { limit, marker: None, sort_key: "id".to_owned(), sort_dir: SortDir::Asc }
    }
}

/// Most values of one `IN (..)`. From 1000 on MariaDB makes a table of them and reads the whole of the other one
/// (`in_predicate_conversion_threshold`).
const CHUNK: usize = 512;

/// A long list in pieces for `IN (..)`.
pub(crate) fn chunks<T>(values: &[T]) -> impl Iterator<Item = &[T]> {
    values.chunks(CHUNK)
}

/// The values, the last one repeated until there are 1, 2, 4, ..: so there are ten statements to prepare and keep, and
/// not one for every length of a list.
pub(crate) fn filled_up<T>(values: &[T]) -> impl Iterator<Item = &T> {
    let missing = values.len().next_power_of_two() - values.len();
    values.iter().chain(values.last().into_iter().cycle().take(missing))
}

/// Where a page begins: the marker's database key, and whether its sort key is null.
pub(crate) struct Start {
    pub(crate) id: i64,
    pub(crate) is_null: bool,
}

impl Store {
    /// Finds the column a list is sorted by.
    ///
    /// # Errors
    /// [`StoreError::InvalidSortKey`] for one that the table has not, or not yet.
    pub(crate) fn sort_column<E: EntityTrait>(&self, page: &Page) -> Result<E::Column> {
        sort_column::<E>(page).and_then(|column| {
            let known = self.head().has(E::default().table_name(), column.as_str());
            if known { Ok(column) } else { Err(StoreError::InvalidSortKey(page.sort_key.clone())) }
        })
    }
}

/// Finds the column a list is sorted by.
pub(crate) fn sort_column<E: EntityTrait>(page: &Page) -> Result<E::Column> {
    E::Column::iter()
        .find(|column| column.as_str() == page.sort_key)
        .ok_or_else(|| StoreError::InvalidSortKey(page.sort_key.clone()))
}

/// Query for [`Start`]: the marker's row within what `visible` selects.
pub(crate) fn start_query<E: EntityTrait>(
    visible: Select<E>,
    id: E::Column,
    sort: E::Column,
    marker: Condition,
) -> Select<E> {
    visible
        .filter(marker)
        .select_only()
        .column_as(id, "id")
        .column_as(Expr::col((Alias::new(E::default().table_name()), sort)).is_null(), "is_null")
}

/// Orders, starts and limits a list. Rows compare in the database, whatever their type or collation: the marker's
/// value is looked up there and never leaves it.
pub(crate) fn paged<E: EntityTrait>(
    mut select: Select<E>,
    id: E::Column,
    sort: E::Column,
    page: &Page,
    start: Option<Start>,
) -> Select<E> {
    let (order, nulls) = match page.sort_dir {
        SortDir::Asc => (Order::Asc, NullOrdering::First),
        SortDir::Desc => (Order::Desc, NullOrdering::Last),
    };
    let by_id = sort.as_str() == id.as_str();
    if let Some(start) = start {
        let beyond = beyond::<E>(id, sort, page.sort_dir, &start, by_id);
        select = select.filter(beyond);
    }
    let query = sea_orm::QueryTrait::query(&mut select);
    if !by_id {
        query.order_by_with_nulls(sort.as_column_ref(), order.clone(), nulls);
    }
    query.order_by(id.as_column_ref(), order);
    select.limit(page.limit)
}

fn beyond<E: EntityTrait>(id: E::Column, sort: E::Column, dir: SortDir, start: &Start, by_id: bool) -> Condition {
    let later_id = match dir {
        SortDir::Asc => id.gt(start.id),
        SortDir::Desc => id.lt(start.id),
    };
    if by_id {
        return Condition::all().add(later_id);
    }
    let tied = match (start.is_null, dir) {
        (true, SortDir::Asc) => {
            return Condition::any().add(sort.is_not_null()).add(Condition::all().add(sort.is_null()).add(later_id));
        }
        (true, SortDir::Desc) => return Condition::all().add(sort.is_null()).add(later_id),
        (false, _) => Expr::expr(sort.into_expr()).eq(marker_value::<E>(id, sort, start.id)),
    };
    let value = marker_value::<E>(id, sort, start.id);
    let after = match dir {
        SortDir::Asc => Expr::expr(sort.into_expr()).gt(value),
        SortDir::Desc => Expr::expr(sort.into_expr()).lt(value),
    };
    let mut beyond = Condition::any().add(after).add(Condition::all().add(tied).add(later_id));
    if dir == SortDir::Desc {
        beyond = beyond.add(sort.is_null());
    }
    beyond
}

/// `(SELECT sort FROM table AS marker WHERE id = ..)`
fn marker_value<E: EntityTrait>(id: E::Column, sort: E::Column, marker: i64) -> Expr {
    let alias = Alias::new("marker");
    let query: SelectStatement = Query::select()
        .column((alias.clone(), sort).into_column_ref())
        .from_as(E::default(), alias.clone())
        .and_where(Expr::col((alias, id)).eq(marker))
        .to_owned();
    Expr::SubQuery(None, Box::new(query.into()))
}

impl From<(i32, bool)> for Start {
    fn from((id, is_null): (i32, bool)) -> Self {
        Self { id: id.into(), is_null }
    }
}

impl From<(i64, bool)> for Start {
    fn from((id, is_null): (i64, bool)) -> Self {
        Self { id, is_null }
    }
}
