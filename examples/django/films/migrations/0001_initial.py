from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Film",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("title", models.CharField(max_length=200)),
                ("year", models.PositiveIntegerField(blank=True, null=True)),
                ("file", models.FileField(blank=True, upload_to="films")),
                ("views", models.PositiveIntegerField(default=0)),
            ],
            options={"abstract": False},
        ),
    ]
