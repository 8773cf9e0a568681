// The page of the running pipeline: its flow, its last hour, its versions, its dead letters, its audit log.

import { Refused, ask } from './api.js';
import { Audit } from './audit.js';
import { loadPlotly } from './charts.js';
import { el, fill } from './dom.js';
import { Flow } from './flow.js';
import { Letters } from './letters.js';
import { OverTime } from './over_time.js';
import { Versions } from './versions.js';

export class PipelinePage {
  constructor(meta, page, { again }) {
    this.letters = new Letters(again, meta.name);
    this.audit = new Audit(again, meta.name);
    this.flow = new Flow();
    this.overTime = new OverTime();
    this.versions = new Versions();
    this.running = el('div', { class: 'page', hidden: true }, this.flow.element, this.overTime.element, this.versions.element);
    this.none = el('div', { class: 'notice', id: 'no-pipeline', hidden: true },
      el('h2', {}, 'No pipeline runs in this process'),
      el('p', {}, 'Its own page is at the address that ', el('code', {}, 'clickmill run'), ' prints. Its dead letters and the audit log are below.'));
    this.trouble = el('div', { class: 'notice bad', role: 'alert', hidden: true });
    this.loading = el('div', { class: 'page', 'aria-hidden': 'true' }, el('div', { class: 'bone wide' }), el('div', { class: 'bone wide' }));
    this.title = el('h1', {}, page.title);
    this.element = el('div', { class: 'page', id: 'pipeline', data: { state: 'loading' } },
      this.title, this.trouble, this.loading, this.none, this.running, this.letters.element, this.audit.element);
  }

  follow(route) {
    this.letters.follow(route);
  }

  async round(signal) {
    try {
      const [status, series, versions] = await Promise.all(
        ['v1/status', 'v1/series', 'v1/plugins/history'].map((path) => ask(path, {}, signal)));
      this.show(status, series, versions);
      // The fleet's place may be away: the rest is seen before.
      this.versions.showFleet(status.replica ? await ask('v1/fleet', {}, signal).catch(refusedIsNone) : null);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.refused(error);
    }
    // These are read, not watched: a list that moves under the reader's eyes helps nobody.
    await Promise.all([this.letters.first(signal), this.audit.first(signal)]);
    if (!this.running.hidden) await loadPlotly().catch(() => {});
  }

  show(status, series, versions) {
    this.state('running');
    fill(this.title, status.pipeline);
    this.flow.show(status);
    this.overTime.show(series, this.versions.marks(versions));
    this.versions.show(versions);
    this.letters.known(status.rejected_by);
  }

  refused(error) {
    if (error.status === 404) {
      this.state('none');
      return;
    }
    this.trouble.hidden = false;
    this.loading.hidden = true;
    fill(this.trouble, el('strong', {}, 'The pipeline could not be asked: '), error.message, error.hint && ` ${error.hint}`);
    this.element.dataset.state = 'error';
  }

  state(state) {
    this.element.dataset.state = state;
    this.trouble.hidden = true;
    this.loading.hidden = true;
    this.none.hidden = state !== 'none';
    this.running.hidden = state !== 'running';
  }

  inWords() {
    return this.letters.inWords();
  }

  drop() {
    this.overTime.drop();
  }
}

function refusedIsNone(error) {
  if (error instanceof Refused) return null;
  throw error;
}
