-- One row per session of the shop file: how deep, what it looked at.
-- Grain: a session. A session is of one day and one country.
-- Reads event_date, session_id, country, category, clothing_model, price of clickstream_batch; a filter
-- on event_date bounds the months read.
SELECT
  event_date,
  session_id,
  country,
  COUNT(*) AS clicks,
  COUNT(DISTINCT category) AS categories,
  COUNT(DISTINCT clothing_model) AS models,
  ROUND(AVG(price), 2) AS average_price,
  COUNT(*) = 1 AS is_bounce
FROM clickstream_analytics.clickstream_batch
GROUP BY event_date, session_id, country
