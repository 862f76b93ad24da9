/** The web interface's addresses: redirects, pages and files. */
import { operations } from './operation.ts';

const html = 'text/html; charset=utf-8';
const page = {
  200: { sentence: 'The page.', type: html },
  303: { sentence: 'To the form to log in.' },
} as const;

export const uiOperations = operations({
  root: {
    name: 'ui.root',
    method: 'GET',
    path: '/',
    access: 'open',
    summary: 'To the web interface.',
    replies: { 303: { sentence: 'To the form to log in.' } },
  },
  ui: {
    name: 'ui.ui',
    method: 'GET',
    path: '/ui',
    access: 'open',
    summary: 'To the dashboard.',
    replies: { 303: { sentence: 'To the dashboard.' } },
  },
  page: {
    name: 'ui.page',
    method: 'GET',
    path: '/ui/{page...}',
    access: 'open',
    summary: 'A page of the web interface: dashboard, machines, images, boot, events, settings.',
    replies: page,
  },
  file: {
    name: 'ui.file',
    method: 'GET',
    path: '/static/{file...}',
    access: 'open',
    summary: 'A file of the web interface.',
    replies: { 200: { sentence: 'The file.', type: 'application/octet-stream' } },
  },
});
