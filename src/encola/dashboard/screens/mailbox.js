/** What the service has sent while no mail server is configured: a list, and one mail beside it. */
import { get } from '../api.js';
import { h, refill, setAttribute } from '../dom.js';
import { icon } from '../icons.js';
import { t } from '../i18n.js';
import { keyed } from '../keyed.js';
import { listen } from '../live.js';
import { paced } from '../pace.js';
import { mailView } from '../parts/mail-view.js';
import { moment } from '../parts/moment.js';
import { empty, failed, loading } from '../parts/situations.js';
import { link, place } from '../router.js';

export function mailbox() {
  const list = h('ul', { class: 'mails' });
  const body = h('div', { class: 'list-body' }, loading());
  const reading = h('section', { class: 'panel mail-panel', 'aria-label': t('mail.title'), hidden: true });
  const more = h('button', { class: 'button', type: 'button', text: t('mail.more'), on: { click: () => load(next) } });
  let items = [];
  let next = null;
  let opened = null;

  const show = () => {
    if (!items.length) {
      refill(body, empty({ title: t('mail.none'), text: t('mail.noneText'), symbol: 'mailbox' }, h('a', { class: 'button primary', href: link('new', { type: 'email' }) }, icon('new'), h('span', { text: t('type.email') }))));
      return;
    }
    if (!list.isConnected) refill(body, list, h('div', { class: 'list-foot' }, more));
    keyed(list, items, (mail) => mail.id, mailRow);
    more.hidden = !next;
  };
  async function load(cursor = null) {
    try {
      const page = await get('/mailbox', { limit: 50, cursor });
      const known = new Set(page.items.map((mail) => mail.id));
      // A list that is brought up to date keeps the older pages that were loaded below it.
      items = cursor ? [...items, ...page.items] : [...page.items, ...items.filter((mail) => !known.has(mail.id))];
      if (cursor || !next) next = page.next_cursor;
      show();
    } catch (error) {
      if (!items.length) refill(body, failed(error, () => load()));
    }
  }
  const soon = paced(() => load(), 1000);
  const leaving = [listen('reload', soon), listen('events', (events) => events.some((event) => event.state === 'SUCCESS') && soon())];
  load();

  return {
    element: h('div', { class: 'screen' }, h('header', { class: 'screen-head' }, h('div', null, h('h1', { text: t('mail.title') }), h('p', { class: 'subtitle', text: t('mail.subtitle') }))), h('div', { class: 'split mail-split' }, h('section', { class: 'panel list', 'aria-label': t('mail.list') }, body), reading)),
    update({ query }) {
      const id = query.mail ?? null;
      if (items.length) show();
      if (id === opened) return;
      opened = id;
      reading.hidden = id === null;
      refill(reading, id && mailView(id));
    },
    leave() {
      soon.stop();
      leaving.forEach((stop) => stop());
    },
  };
}

function mailRow(mail) {
  const anchor = h(
    'a',
    { class: 'mail', href: link('mailbox', { mail: mail.id }) },
    h('span', { class: 'mail-to', text: mail.to.join(', ') }),
    moment(mail.received_at),
    h('span', { class: 'mail-subject', text: mail.subject || t('mail.noSubject') }),
  );
  return { element: h('li', null, anchor), update: () => setAttribute(anchor, 'aria-current', place().query.mail === mail.id ? 'true' : null) };
}
