-- What happened each day, in numbers that can be added up.
-- Grain: a day, event type, category and country; all traffic, bots too. Of purchases only those with a
-- known price and currency have revenue.
-- Reads event_date, event_type, category, country, price, quantity, currency of clicks; a filter on
-- event_date bounds the days read.
SELECT
  event_date,
  event_type,
  category,
  country,
  COUNT(*) AS events,
  COUNTIF(event_type = 'purchase') AS purchases,
  COUNTIF(event_type = 'error') AS errors,
  ROUND(SUM(IF(event_type = 'purchase', price * IFNULL(quantity, 1) / per_euro, 0.0)), 2) AS revenue_eur
FROM clickstream_analytics.clicks AS clicks
LEFT JOIN clickstream_analytics.exchange_rates AS rates ON rates.currency = UPPER(clicks.currency)
GROUP BY event_date, event_type, category, country
