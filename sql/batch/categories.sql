-- Which categories are looked at most, by how many sessions.
-- Grain: a category. Reads category, session_id, clothing_model of clickstream_batch; bound by event_date.
SELECT
  category,
  COUNT(*) AS clicks,
  ROUND(100.0 * COUNT(*) / SUM(COUNT(*)) OVER (), 2) AS percent_of_clicks,
  COUNT(DISTINCT session_id) AS sessions,
  COUNT(DISTINCT clothing_model) AS models
FROM clickstream_analytics.clickstream_batch
GROUP BY category
ORDER BY clicks DESC, category
