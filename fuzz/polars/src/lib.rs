//! What the fuzzed modules name of polars: dtypes as they are there, and columns that keep their cells and do no more.

pub mod error {
    /// Of its kinds, the one that Lacuna makes.
    #[derive(Debug)]
    pub enum PolarsError {
        ComputeError(String),
    }

    impl std::fmt::Display for PolarsError {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            let PolarsError::ComputeError(text) = self;
            f.write_str(text)
        }
    }

    impl std::error::Error for PolarsError {}
}

pub mod prelude {
    use std::borrow::Cow;
    use std::fmt;
    use std::marker::PhantomData;

    use super::error::PolarsError;

    pub type PolarsResult<T> = Result<T, PolarsError>;
    pub type PlSmallStr = SmallText;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum TimeUnit {
        Nanoseconds,
        Microseconds,
        Milliseconds,
    }

    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct TimeZone(Cow<'static, str>);

    impl TimeZone {
        pub const UTC: TimeZone = TimeZone(Cow::Borrowed("UTC"));

        /// polars asks the table of zones; here a word is one.
        pub fn opt_try_new(zone: Option<&str>) -> PolarsResult<Option<TimeZone>> {
            match zone {
                None | Some("") => Ok(None),
                Some(zone) if zone.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_+-".contains(&b)) => {
                    Ok(Some(TimeZone(Cow::Owned(zone.into()))))
                }
                Some(zone) => Err(PolarsError::ComputeError(format!("no zone {zone}"))),
            }
        }
    }

    impl fmt::Display for TimeZone {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.0)
        }
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum UnknownKind {
        Any,
    }

    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Categories;

    impl Categories {
        pub fn global() -> Categories {
            Categories
        }
    }

    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct FrozenCategories(Vec<String>);

    impl FrozenCategories {
        pub fn new<'a>(levels: impl Iterator<Item = &'a str>) -> PolarsResult<FrozenCategories> {
            let mut all: Vec<String> = Vec::new();
            for level in levels {
                if all.iter().any(|l| l == level) {
                    return Err(PolarsError::ComputeError(format!("{level} stands twice")));
                }
                all.push(level.into());
            }
            Ok(FrozenCategories(all))
        }
    }

    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum DataType {
        Boolean,
        Int8,
        Int16,
        Int32,
        Int64,
        Int128,
        UInt8,
        UInt16,
        UInt32,
        UInt64,
        Float32,
        Float64,
        String,
        Date,
        Datetime(TimeUnit, Option<TimeZone>),
        Duration(TimeUnit),
        Time,
        Decimal(usize, usize),
        Categorical(Categories, ()),
        Enum(FrozenCategories, ()),
        Null,
        Unknown(UnknownKind),
    }

    impl DataType {
        pub fn from_categories(categories: Categories) -> DataType {
            DataType::Categorical(categories, ())
        }

        pub fn from_frozen_categories(categories: FrozenCategories) -> DataType {
            DataType::Enum(categories, ())
        }

        pub fn is_integer(&self) -> bool {
            use DataType::*;
            matches!(self, Int8 | Int16 | Int32 | Int64 | Int128 | UInt8 | UInt16 | UInt32 | UInt64)
        }

        pub fn is_float(&self) -> bool {
            matches!(self, DataType::Float32 | DataType::Float64)
        }

        pub fn is_temporal(&self) -> bool {
            matches!(self, DataType::Date | DataType::Datetime(..) | DataType::Duration(_) | DataType::Time)
        }

        pub fn is_duration(&self) -> bool {
            matches!(self, DataType::Duration(_))
        }
    }

    impl fmt::Display for DataType {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{self:?}")
        }
    }

    /// The text of a column's name.
    #[derive(Clone, Debug)]
    pub struct SmallText(String);

    impl SmallText {
        #[allow(clippy::should_implement_trait)]
        pub fn from_str(text: &str) -> SmallText {
            SmallText(text.into())
        }
    }

    /// One cell.
    #[derive(Clone, Debug, PartialEq)]
    pub enum Cell {
        Truth(bool),
        Integer(i64),
        Float(f64),
        Text(String),
    }

    impl From<bool> for Cell {
        fn from(x: bool) -> Cell {
            Cell::Truth(x)
        }
    }

    impl From<i64> for Cell {
        fn from(x: i64) -> Cell {
            Cell::Integer(x)
        }
    }

    impl From<f64> for Cell {
        fn from(x: f64) -> Cell {
            Cell::Float(x)
        }
    }

    impl From<&str> for Cell {
        fn from(x: &str) -> Cell {
            Cell::Text(x.into())
        }
    }

    /// The native type of a column under construction.
    pub trait Native {
        type Of<'a>: Into<Cell>;
        const DTYPE: DataType;
    }

    macro_rules! native {
        ($name:ident, $native:ty, $dtype:expr) => {
            #[derive(Clone, Debug)]
            pub struct $name;

            impl Native for $name {
                type Of<'a> = $native;
                const DTYPE: DataType = $dtype;
            }
        };
    }

    native!(BooleanType, bool, DataType::Boolean);
    native!(Int64Type, i64, DataType::Int64);
    native!(Float64Type, f64, DataType::Float64);

    #[derive(Clone, Debug)]
    pub struct StringType;

    impl Native for StringType {
        type Of<'a> = &'a str;
        const DTYPE: DataType = DataType::String;
    }

    #[derive(Clone, Debug)]
    pub struct PrimitiveChunkedBuilder<T> {
        name: SmallText,
        cells: Vec<Option<Cell>>,
        of: PhantomData<T>,
    }

    pub type BooleanChunkedBuilder = PrimitiveChunkedBuilder<BooleanType>;
    pub type StringChunkedBuilder = PrimitiveChunkedBuilder<StringType>;

    /// In polars the builders' methods.
    pub trait ChunkedBuilder {}

    impl<T: Native> PrimitiveChunkedBuilder<T> {
        pub fn new(name: SmallText, rows: usize) -> Self {
            PrimitiveChunkedBuilder { name, cells: Vec::with_capacity(rows), of: PhantomData }
        }

        pub fn append_option(&mut self, cell: Option<T::Of<'_>>) {
            self.cells.push(cell.map(Into::into));
        }

        pub fn append_value(&mut self, cell: T::Of<'_>) {
            self.cells.push(Some(cell.into()));
        }

        pub fn append_null(&mut self) {
            self.cells.push(None);
        }

        pub fn finish(self) -> Series {
            Series { name: self.name.0, dtype: T::DTYPE, cells: self.cells }
        }
    }

    /// A column and its cells.
    #[derive(Clone, Debug)]
    pub struct Series {
        pub name: String,
        pub dtype: DataType,
        pub cells: Vec<Option<Cell>>,
    }

    pub type Column = Series;

    impl Series {
        /// Another name for the same cells.
        pub fn cast(&self, dtype: &DataType) -> PolarsResult<Series> {
            Ok(Series { dtype: dtype.clone(), ..self.clone() })
        }
    }

    pub trait IntoSeries: Sized {
        fn into_series(self) -> Series;
    }

    impl IntoSeries for Series {
        fn into_series(self) -> Series {
            self
        }
    }

    pub trait IntoColumn {
        fn into_column(self) -> Column;
    }

    impl IntoColumn for Series {
        fn into_column(self) -> Column {
            self
        }
    }

    #[derive(Clone, Debug)]
    pub struct DataFrame {
        pub columns: Vec<Column>,
    }

    impl DataFrame {
        pub fn new(height: usize, columns: Vec<Column>) -> PolarsResult<DataFrame> {
            match columns.iter().all(|c| c.cells.len() == height) {
                true => Ok(DataFrame { columns }),
                false => Err(PolarsError::ComputeError("columns of several lengths".into())),
            }
        }
    }
}
