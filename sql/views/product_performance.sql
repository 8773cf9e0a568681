-- How each product did each day, in numbers that can be added up; bots are left out.
-- Grain: a day and product. Events that name no product are not in it.
-- Reads event_date, event_type, product_id, category, is_bot, price, quantity, currency of clicks; a
-- filter on event_date bounds the days read.
SELECT
  event_date,
  product_id,
  MAX(category) AS category,
  COUNTIF(event_type = 'product_view') AS views,
  COUNTIF(event_type = 'add_to_cart') AS carts,
  COUNTIF(event_type = 'purchase') AS purchases,
  SUM(IF(event_type = 'purchase', IFNULL(quantity, 1), 0)) AS pieces,
  ROUND(SUM(IF(event_type = 'purchase', price * IFNULL(quantity, 1) / per_euro, 0.0)), 2) AS revenue_eur
FROM clickstream_analytics.clicks AS clicks
LEFT JOIN clickstream_analytics.exchange_rates AS rates ON rates.currency = UPPER(clicks.currency)
WHERE product_id IS NOT NULL AND is_bot IS NOT TRUE
GROUP BY event_date, product_id
