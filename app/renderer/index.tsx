import './styles/index.css';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { languageOf } from '../../shared/app/words.ts';
import { App } from './App.tsx';
import { ask } from './client.ts';
import { startWords } from './i18n.ts';
import { follow } from './store.ts';

async function start(root: HTMLElement): Promise<void> {
  const hello = await ask('hello', {});
  await startWords(languageOf(hello.settings.language, hello.about.locale));
  follow(hello);
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}

const root = document.getElementById('root');
if (root) void start(root);
