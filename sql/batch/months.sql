-- How the shop does month by month.
-- Grain: a month. The first and the last may be cut off by the file. Reads event_date, session_id, price
-- of clickstream_batch; bound by event_date.
WITH clicks AS (
  SELECT CAST(DATE_TRUNC(event_date, MONTH) AS DATE) AS month, session_id, price
  FROM clickstream_analytics.clickstream_batch
)
SELECT
  month,
  COUNT(DISTINCT session_id) AS sessions,
  COUNT(*) AS clicks,
  ROUND(1.0 * COUNT(*) / COUNT(DISTINCT session_id), 2) AS clicks_per_session,
  ROUND(AVG(price), 2) AS average_price,
  ROUND(100.0 * COUNT(*) / LAG(COUNT(*)) OVER (ORDER BY month) - 100, 2) AS percent_change_of_clicks
FROM clicks
GROUP BY month
ORDER BY month
