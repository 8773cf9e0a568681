-- What orders bring, a day.
-- Grain: a day; bots are left out. Revenue is less discounts, and exact.
-- Reads items_price, items_revenue, payment, is_bot of view shop_purchases; bound by event_date.
SELECT
  event_date,
  COUNT(*) AS orders,
  SUM(items_revenue) AS revenue,
  ROUND(AVG(items_revenue), 2) AS average_order,
  SUM(items_price - items_revenue) AS discounts,
  SUM(payment.shipping) AS shipping,
  ROUND(SUM(payment.tax) / SUM(items_revenue), 4) AS tax_share,
  COUNTIF(payment.coupon IS NOT NULL) AS with_coupon
FROM clickstream_analytics.shop_purchases
WHERE is_bot IS NOT TRUE
GROUP BY event_date
ORDER BY event_date
