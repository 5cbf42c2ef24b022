//! The trail as files.

use std::io::Write;

use super::row::Row;

/// Why a trail could not be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// As JSON.
    #[error("the audit trail could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// As CSV.
    #[error("the audit trail could not be written as CSV: {0}")]
    Csv(#[from] csv::Error),
    /// To the file.
    #[error("the audit trail could not be written: {0}")]
    File(#[from] std::io::Error),
}

/// An array of rows with all their columns, so that the hashes can be computed again.
pub fn json(rows: &[Row], mut to: impl Write) -> Result<(), ExportError> {
    serde_json::to_writer_pretty(&mut to, rows)?;
    writeln!(to)?;
    Ok(())
}

/// A line for each row under a line of names, with all columns.
pub fn csv(rows: &[Row], to: impl Write) -> Result<(), ExportError> {
    let mut writer = csv::Writer::from_writer(to);
    for row in rows {
        writer.serialize(row)?;
    }
    writer.flush()?;
    Ok(())
}
