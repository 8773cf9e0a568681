-- title: Event type
-- parameter: event_type
-- order: 10
-- page: stream
-- Reads event_type of all days.
SELECT event_type
FROM clickstream_analytics.clicks_raw
GROUP BY event_type
ORDER BY COUNT(*) DESC, event_type
LIMIT 50
