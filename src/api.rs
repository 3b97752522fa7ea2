//! The order in which the SQL of `sql/` is run at CREATE EXTENSION.

use pgrx::extension_sql_file;

extension_sql_file!("../sql/schemas.sql", name = "schemas", bootstrap);
extension_sql_file!("../sql/functions_time_bucket.sql", name = "time_bucket", requires = ["schemas"]);
extension_sql_file!("../sql/functions_aggregates.sql", name = "aggregates", requires = ["schemas"]);
extension_sql_file!("../sql/functions_uuid.sql", name = "uuid", requires = ["schemas"]);
extension_sql_file!("../sql/functions_time_internal.sql", name = "time_internal", requires = ["schemas"]);
