-- On which pages errors happen, and how often there.
-- Grain: a page category. Reads what view errors does; bound by event_date.
SELECT
  page_category,
  SUM(events) AS events,
  SUM(errors) AS errors,
  ROUND(100.0 * SUM(errors) / SUM(events), 2) AS error_percent
FROM clickstream_analytics.errors AS counts
GROUP BY page_category
ORDER BY errors DESC, events DESC, page_category
