/** The screens in the order of the navigation: name, and the screens that lie under it. */
export const NAVIGATION = [
  ['home', ['home']],
  ['tasks', ['tasks', 'task']],
  ['new', ['new']],
  ['queues', ['queues']],
  ['workers', ['workers']],
  ['schedules', ['schedules']],
  ['files', ['files']],
  ['reports', ['reports']],
  ['mailbox', ['mailbox']],
];
