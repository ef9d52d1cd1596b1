//! Columns of dtypes that store integers ([`physical`](crate::data::physical)): their cells read, and some of them replaced.

use ::polars::prelude::{ChunkedArray, DataType, NewChunkedArray, NumericNative, PolarsNumericType, Series};

use crate::error::Result;

/// The stored integers of such a column.
pub(crate) fn stored(series: &Series) -> Result<Vec<Option<i128>>> {
    let stored = match series.dtype() {
        DataType::Decimal(..) => return Ok(series.decimal()?.physical().iter().collect()),
        _ => series.to_physical_repr().cast(&DataType::Int128)?,
    };
    Ok(stored.i128()?.iter().collect())
}

/// The column with the given integers, each within the range of its dtype, at the given rows; every other cell is copied.
pub(crate) fn with_cells(input: &Series, rows: &[usize], values: &[i128]) -> Result<Series> {
    macro_rules! replaced {
        ($cells:expr, $native:ty) => {
            scatter($cells, rows, values.iter().map(|&x| x as $native))
        };
    }
    Ok(match input.dtype() {
        DataType::Int8 => replaced!(input.i8()?, i8),
        DataType::Int16 => replaced!(input.i16()?, i16),
        DataType::Int32 => replaced!(input.i32()?, i32),
        DataType::Int128 => replaced!(input.i128()?, i128),
        DataType::UInt8 => replaced!(input.u8()?, u8),
        DataType::UInt16 => replaced!(input.u16()?, u16),
        DataType::UInt32 => replaced!(input.u32()?, u32),
        DataType::UInt64 => replaced!(input.u64()?, u64),
        DataType::Date => replaced!(input.date()?.physical(), i32).into_date(),
        DataType::Datetime(unit, zone) => replaced!(input.datetime()?.physical(), i64).into_datetime(*unit, zone.clone()),
        DataType::Duration(unit) => replaced!(input.duration()?.physical(), i64).into_duration(*unit),
        DataType::Time => replaced!(input.time()?.physical(), i64).into_time(),
        DataType::Decimal(precision, scale) => replaced!(input.decimal()?.physical(), i128).into_decimal(*precision, *scale)?,
        _ => replaced!(input.i64()?, i64),
    })
}

/// The column with the given values at the given rows.
pub(crate) fn scatter<T: PolarsNumericType>(
    input: &ChunkedArray<T>,
    rows: &[usize],
    values: impl Iterator<Item = T::Native>,
) -> Series
where
    T::Native: NumericNative,
    ChunkedArray<T>: NewChunkedArray<T, T::Native>,
    Series: From<ChunkedArray<T>>,
{
    let mut all: Vec<Option<T::Native>> = input.iter().collect();
    rows.iter().zip(values).for_each(|(&r, v)| all[r] = Some(v));
    Series::from(ChunkedArray::<T>::from_iter_options(input.name().clone(), all.into_iter()))
}
