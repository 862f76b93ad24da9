import { Link } from 'wouter';
import { Button } from '../../parts/Button.tsx';
import { useText } from '../../parts/useText.ts';
import { useAnswer } from '../answer.ts';
import { ask } from '../api.ts';
import { NetworkFields, useNetworkForm } from '../NetworkSheet.tsx';
import { PasswordForm } from '../PasswordForm.tsx';
import { Card, Page } from '../parts/Page.tsx';
import { LiveCard } from './BootPage.tsx';
import { useOverview } from './DashboardPage.tsx';

/** The first run: everything that is needed until a machine can be flashed, in its order. */
export function SetupPage() {
  const { t, bytes } = useText();
  const form = useNetworkForm(null);
  const { value: overview } = useOverview();
  const { value: settings } = useAnswer('settings', () => ask('GET /settings'));
  const { value: catalog } = useAnswer('catalog', () => ask('GET /catalog/images'), ['images', 'job']);
  const folder = settings?.find(({ name }) => name === 'image_root')?.value ?? '';
  return (
    <Page title={t('lab.setup.title')} lead={<p className="quiet">{t('lab.setup.intro')}</p>}>
      <Card title={t('lab.setup.password')}>
        <p className="quiet">{t('lab.setup.passwordHint')}</p>
        <PasswordForm />
      </Card>
      <Card title={t('lab.setup.network')}>
        <p className="quiet">{t('lab.setup.networkHint')}</p>
        <NetworkFields form={form} />
        <div>
          <Button look="primary" isDisabled={!form.isReady} onPress={() => void form.apply()}>
            {t('lab.common.apply')}
          </Button>
        </div>
      </Card>
      <LiveCard title={t('lab.setup.live')} />
      <Card title={t('lab.setup.images')}>
        <p>{t('lab.setup.imagesHint', { folder, free: bytes(catalog?.free_bytes ?? 0) })}</p>
        <p className="quiet">{t('lab.setup.imagesThere', { count: overview?.images ?? 0 })}</p>
        <div>
          <Link href="/images" className="button button-plain">
            {t('lab.setup.toImages')}
          </Link>
        </div>
      </Card>
      <div>
        <Link href="/dashboard" className="button button-primary">
          {t('lab.setup.done')}
        </Link>
      </div>
    </Page>
  );
}
