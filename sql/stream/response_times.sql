-- How long pages take, hour by hour.
-- Grain: an hour and page category. Reads what view response_times does; bound by event_date.
SELECT hour, page_category, events, p50_ms, p95_ms, p99_ms
FROM clickstream_analytics.response_times
ORDER BY hour, page_category
