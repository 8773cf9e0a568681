// When the page asks again: a round after the last one, while someone looks, until it is paused. A server
// that does not answer is asked less and less often.

import { Unreachable } from './api.js';

const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;
/** A timer that is set for longer goes off at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class Rounds {
  /** `run(signal)` is one round; `said(state)` hears `live`, `paused`, `lost`; `failed(error)` what is neither. */
  constructor({ run, said, failed }) {
    Object.assign(this, { run, said, failed });
    this.every = 5_000;
    this.count = 0;
    this.paused = false;
    this.wait = FIRST_WAIT_MS;
    this.lost = false;
    document.addEventListener('visibilitychange', () => {
      // What is not looked at is not asked for; back again, it is asked for at once.
      if (document.hidden) this.stop();
      else if (!this.paused || this.count === 0) this.restart();
    });
  }

  /** Calls off what runs and starts a round now, even where it is paused; in the background, when it is looked at. */
  restart() {
    this.stop();
    if (!document.hidden) this.round();
  }

  stop() {
    clearTimeout(this.timer);
    this.under?.abort();
    this.under = null;
  }

  pause(paused) {
    this.paused = paused;
    if (paused) {
      clearTimeout(this.timer);
      this.said('paused');
    } else this.restart();
  }

  async round() {
    const under = new AbortController();
    this.under = under;
    const began = performance.now();
    try {
      await this.run(under.signal);
      if (under.signal.aborted) return;
      this.count += 1;
      document.documentElement.dataset.round = this.count;
      this.wait = FIRST_WAIT_MS;
      this.lost = false;
      this.last = Date.now();
      this.said(this.paused ? 'paused' : 'live');
      // A round that takes long is followed by as long a rest: the server has other readers.
      this.next(Math.max(this.every, performance.now() - began));
    } catch (error) {
      if (under.signal.aborted) return;
      // One request failed: the rest of the round is called off with it.
      under.abort();
      if (!(error instanceof Unreachable)) {
        this.failed(error);
        return;
      }
      this.lost = true;
      this.said('lost');
      this.next(this.wait, true);
      this.wait = Math.min(2 * this.wait, LONGEST_WAIT_MS);
    }
  }

  next(ms, even = false) {
    clearTimeout(this.timer);
    if (document.hidden || (this.paused && !even)) return;
    this.timer = setTimeout(() => this.round(), Math.min(ms, LONGEST_TIMER_MS));
  }
}
