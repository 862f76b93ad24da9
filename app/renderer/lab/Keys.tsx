import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useLocation } from 'wouter';
import { Button } from '../parts/Button.tsx';
import { Sheet } from '../parts/Sheet.tsx';
import { useLab } from './store.ts';

const places = {
  d: 'dashboard',
  m: 'machines',
  i: 'images',
  b: 'boot',
  t: 'tasks',
  e: 'events',
  s: 'settings',
} as const;

/** True while something lies over the page that its keys would go behind. */
const isCovered = () =>
  useLab.getState().session !== 'in' ||
  document.querySelector('[role="dialog"], [role="alertdialog"]') !== null;

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest('input, textarea, select') !== null;
}

/** Milliseconds in which the second key of two must follow. */
const patience = 1500;

/** Shortcuts of all pages: `g` and a letter goes to a page, `/` searches, `?` tells them. */
export function Keys() {
  const { t } = useTranslation();
  const [, go] = useLocation();
  const [shown, setShown] = useState(false);
  useEffect(() => {
    let goingSince = 0;
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || isCovered()) return;
      const place = places[event.key as keyof typeof places];
      if (place !== undefined && performance.now() - goingSince < patience) {
        goingSince = 0;
        event.preventDefault();
        go(`/${place}`);
      } else if (event.key === 'g') goingSince = performance.now();
      else if (event.key === '?') setShown(true);
      else if (event.key === '/') {
        const search = document.querySelector<HTMLElement>('input[type="search"]');
        if (search === null) return;
        event.preventDefault();
        search.focus();
      }
    };
    document.addEventListener('keydown', press);
    return () => document.removeEventListener('keydown', press);
  }, [go]);
  if (!shown) return null;
  const close = () => setShown(false);
  return (
    <Sheet
      title={t('lab.nav.keys')}
      onClose={close}
      actions={<Button onPress={close}>{t('common.close')}</Button>}
    >
      <dl className="keys">
        {Object.entries(places).map(([key, place]) => (
          <div key={key}>
            <dt>
              <kbd>g</kbd> <kbd>{key}</kbd>
            </dt>
            <dd>{t(`lab.nav.${place}`)}</dd>
          </div>
        ))}
        <div>
          <dt>
            <kbd>/</kbd>
          </dt>
          <dd>{t('lab.machines.search')}</dd>
        </div>
        <div>
          <dt>
            <kbd>?</kbd>
          </dt>
          <dd>{t('lab.nav.keys')}</dd>
        </div>
      </dl>
    </Sheet>
  );
}
