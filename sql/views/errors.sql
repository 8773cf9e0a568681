-- What went wrong, beside what did not: so that a rate is the sum of errors over the sum of events.
-- Grain: a day, page category, browser, status and message; the message is null where nothing went wrong.
-- Reads event_date, event_timestamp, event_type, page_category, browser, status_code, error_message of
-- clicks; a filter on event_date bounds the days read. It has a column of its own name, which a query can name by itself
-- only where FROM gives the view another: `errors AS counts`.
SELECT
  event_date,
  page_category,
  browser,
  status_code,
  error_message,
  COUNT(*) AS events,
  COUNTIF(event_type = 'error') AS errors,
  MIN(event_timestamp) AS oldest,
  MAX(event_timestamp) AS newest
FROM clickstream_analytics.clicks
GROUP BY event_date, page_category, browser, status_code, error_message
