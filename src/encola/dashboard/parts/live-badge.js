/** How live the page is: Live, Reconnecting, Paused, with the age of the data. Pressing it pauses. */
import { announce } from '../announce.js';
import { h, setAttribute, setText } from '../dom.js';
import { duration } from '../format.js';
import { t } from '../i18n.js';
import { dataAge, isStopped, listen, liveStatus, togglePause } from '../live.js';

export function liveBadge() {
  const word = h('span', { class: 'live-word' });
  const age = h('span', { class: 'live-age' });
  const badge = h('button', { class: 'live', type: 'button', on: { click: togglePause } }, h('span', { class: 'live-dot', 'aria-hidden': 'true' }), word, age);
  const show = () => {
    const status = liveStatus();
    setAttribute(badge, 'data-live', status);
    setText(word, t(`live.${status}`));
    const seconds = Math.round(dataAge() / 1000);
    setText(age, status === 'live' || status === 'connecting' ? '' : t('live.age', { span: duration(seconds * 1000) }));
    setAttribute(badge, 'title', t(isStopped() ? 'live.resume' : 'live.pause'));
  };
  listen('status', (status) => {
    show();
    if (status !== 'connecting') announce(t(`live.${status}`));
  });
  setInterval(show, 1000);
  show();
  return badge;
}
