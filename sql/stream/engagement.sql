-- How long visitors stay, how deep they go, and how many leave at once.
-- Grain: a day; a session is of the day it began on. Bots are left out. A bounce is a session of one event.
-- Reads what view sessions does, over all days; a condition on event_date chooses days, and spares none.
SELECT
  event_date,
  COUNT(*) AS sessions,
  ROUND(AVG(duration_secs), 1) AS average_duration_secs,
  ROUND(AVG(events), 2) AS events_per_session,
  COUNTIF(is_bounce) AS bounces,
  ROUND(100.0 * COUNTIF(is_bounce) / COUNT(*), 2) AS bounce_percent
FROM clickstream_analytics.sessions
WHERE NOT is_bot
GROUP BY event_date
ORDER BY event_date
