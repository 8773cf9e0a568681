-- How messages flow: how many arrive each minute, and how long they were under way.
-- Grain: a minute of arrival. Events beyond the messages came from files, which have no publish time.
-- Reads ingested_at, publish_time, message_id of clicks. The table is partitioned by event_date, not by
-- arrival: bound both, event_date a day wider.
SELECT
  TIMESTAMP_TRUNC(ingested_at, MINUTE) AS minute,
  COUNT(*) AS events,
  COUNT(message_id) AS messages,
  ROUND(AVG(TIMESTAMP_DIFF(ingested_at, publish_time, MILLISECOND)), 1) AS average_delay_ms,
  MAX(TIMESTAMP_DIFF(ingested_at, publish_time, MILLISECOND)) AS longest_delay_ms
FROM clickstream_analytics.clicks
GROUP BY 1
ORDER BY 1
