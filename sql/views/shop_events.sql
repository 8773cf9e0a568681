-- One row per shop event, with its items: of a message that was delivered more than once, the first row that was
-- written for each of its events. A message is told by its id and when it was published, an event by its
-- place in it. Rows that came from files, which have no message, are told by their place in the file.
-- Grain: an event. Reads all columns asked for of shop_events_raw, plus message_id, publish_time, record_index,
-- source, source_line and ingested_at.
-- A message has the same event_date on every delivery, so that it changes nothing of the numbering. It
-- stands first because a filter on it may then be applied before the numbering: only the days asked for
-- are read and numbered, as a filter on a partitioning column should have it.
SELECT *
FROM clickstream_analytics.shop_events_raw
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY
    event_date,
    publish_time,
    COALESCE(message_id, CONCAT(source, '#', CAST(source_line AS STRING))),
    COALESCE(record_index, 0)
  ORDER BY ingested_at
) = 1
