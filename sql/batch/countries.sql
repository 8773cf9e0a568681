-- Where visitors come from, and how deep they go.
-- Grain: a country. Reads country, session_id, price of clickstream_batch; bound by event_date.
SELECT
  country,
  COUNT(DISTINCT session_id) AS sessions,
  COUNT(*) AS clicks,
  ROUND(1.0 * COUNT(*) / COUNT(DISTINCT session_id), 2) AS clicks_per_session,
  ROUND(AVG(price), 2) AS average_price
FROM clickstream_analytics.clickstream_batch
GROUP BY country
ORDER BY clicks DESC, country
