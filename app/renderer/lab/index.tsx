import '../styles/tokens.css';
import '../styles/base.css';
import '../styles/parts.css';
import '../styles/frame.css';
import './styles/index.css';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { Lab } from './Lab.tsx';
import { languageHere, startLabWords } from './words.ts';

async function start(root: HTMLElement): Promise<void> {
  await startLabWords(languageHere());
  createRoot(root).render(
    <StrictMode>
      <Lab />
    </StrictMode>,
  );
}

const root = document.getElementById('root');
if (root) void start(root);
