-- From view to purchase: how many sessions get to each step, and how many are lost on the way.
-- Grain: a step. Bots are left out. A step counts sessions that did it at all, in whatever order.
-- Reads event_type, session_id, is_bot of clicks, over all days or those bound by event_date in `reached`.
WITH steps AS (
  SELECT 1 AS step, 'product_view' AS event_type
  UNION ALL SELECT 2, 'add_to_cart'
  UNION ALL SELECT 3, 'checkout'
  UNION ALL SELECT 4, 'purchase'
),
reached AS (
  SELECT event_type, COUNT(DISTINCT session_id) AS sessions
  FROM clickstream_analytics.clicks
  WHERE is_bot IS NOT TRUE
  GROUP BY event_type
),
counted AS (
  SELECT step, event_type, IFNULL(sessions, 0) AS sessions
  FROM steps
  LEFT JOIN reached USING (event_type)
)
SELECT
  step,
  event_type,
  sessions,
  LAG(sessions) OVER (ORDER BY step) - sessions AS lost,
  ROUND(100 * SAFE_DIVIDE(sessions, LAG(sessions) OVER (ORDER BY step)), 2) AS percent_of_step_before,
  ROUND(100 * SAFE_DIVIDE(sessions, FIRST_VALUE(sessions) OVER (ORDER BY step)), 2) AS percent_of_first
FROM counted
ORDER BY step
