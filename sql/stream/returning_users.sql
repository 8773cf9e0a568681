-- How many users of a day have been here before. New is who has no earlier day among those read, so
-- bounding event_date makes users new.
-- Grain: a day. Bots, and events without a user, are left out.
-- Reads event_date, user_id, is_bot of clicks, over all days or those bound by event_date in `days`.
WITH days AS (
  SELECT user_id, event_date
  FROM clickstream_analytics.clicks
  WHERE user_id IS NOT NULL AND is_bot IS NOT TRUE
  GROUP BY user_id, event_date
),
visits AS (
  SELECT event_date, event_date > MIN(event_date) OVER (PARTITION BY user_id) AS seen_before
  FROM days
)
SELECT
  event_date,
  COUNT(*) AS users,
  COUNTIF(NOT seen_before) AS new_users,
  COUNTIF(seen_before) AS returning_users,
  ROUND(100.0 * COUNTIF(seen_before) / COUNT(*), 2) AS returning_percent
FROM visits
GROUP BY event_date
ORDER BY event_date
