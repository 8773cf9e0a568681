-- One row per click event: of a message that was delivered more than once, the first row that was
-- written. Rows that came from files, which have no message, stand for themselves.
-- Grain: an event. Reads all columns asked for of clicks_raw, plus message_id and ingested_at.
SELECT *
FROM clickstream_analytics.clicks_raw
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY COALESCE(message_id, CONCAT(source, '#', CAST(source_line AS STRING)))
  ORDER BY ingested_at
) = 1
