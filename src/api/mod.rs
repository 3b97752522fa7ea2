//! The SQL surface: shims from SQL functions to the domain, and the order in which `sql/` is run at CREATE EXTENSION.

use pgrx::extension_sql_file;

mod admin;
mod catalog;
mod chunk;
mod chunk_change;
mod columnstore;
mod columnstore_stats;
mod continuous_agg;
mod hypertable;
mod jobs;
mod policies;
mod refresh;
mod replication;
mod size;
mod tablespace;

extension_sql_file!("../../sql/schemas.sql", name = "schemas", bootstrap);
extension_sql_file!("../../sql/catalog.sql", name = "catalog", requires = ["schemas"]);
extension_sql_file!("../../sql/continuous_aggs.sql", name = "continuous_aggs", requires = ["catalog"]);
extension_sql_file!("../../sql/functions_continuous_aggs.sql", name = "functions_continuous_aggs", requires = ["continuous_aggs"]);
extension_sql_file!("../../sql/functions_cagg_live.sql", name = "functions_cagg_live", requires = ["catalog"]);
extension_sql_file!("../../sql/functions_hypertable.sql", name = "functions_hypertable", requires = ["catalog"]);
extension_sql_file!("../../sql/functions_chunk.sql", name = "functions_chunk", requires = ["functions_hypertable"]);
extension_sql_file!("../../sql/functions_columnstore.sql", name = "functions_columnstore", requires = ["functions_chunk"]);
extension_sql_file!("../../sql/functions_columnstore_stats.sql", name = "functions_columnstore_stats", requires = ["functions_chunk"]);
extension_sql_file!("../../sql/functions_size.sql", name = "functions_size", requires = ["functions_chunk"]);
extension_sql_file!("../../sql/functions_tablespace.sql", name = "functions_tablespace", requires = ["functions_hypertable"]);
extension_sql_file!("../../sql/functions_admin.sql", name = "functions_admin", requires = ["functions_hypertable"]);
extension_sql_file!("../../sql/jobs.sql", name = "jobs", requires = ["catalog", "views"]);
extension_sql_file!("../../sql/functions_jobs.sql", name = "functions_jobs", requires = ["jobs"]);
extension_sql_file!("../../sql/views_jobs.sql", name = "views_jobs", requires = ["functions_jobs", "continuous_aggs"]);
extension_sql_file!("../../sql/policies.sql", name = "policies", requires = ["jobs"]);
extension_sql_file!("../../sql/functions_policies.sql", name = "functions_policies", requires = ["policies", "continuous_aggs"]);
extension_sql_file!("../../sql/views_health.sql", name = "views_health", requires = ["functions_policies", "views_jobs"]);
extension_sql_file!("../../sql/functions_replication.sql", name = "functions_replication", requires = ["catalog"]);
extension_sql_file!("../../sql/functions_time_bucket.sql", name = "time_bucket", requires = ["schemas"]);
extension_sql_file!("../../sql/functions_aggregates.sql", name = "aggregates", requires = ["schemas"]);
extension_sql_file!("../../sql/functions_uuid.sql", name = "uuid", requires = ["schemas"]);
extension_sql_file!("../../sql/functions_time_internal.sql", name = "time_internal", requires = ["schemas"]);
extension_sql_file!("../../sql/views.sql", name = "views", requires = ["functions_columnstore_stats", "continuous_aggs"]);
extension_sql_file!(
    "../../sql/views_continuous_aggs.sql",
    name = "views_continuous_aggs",
    requires = ["views", "functions_continuous_aggs"]
);
