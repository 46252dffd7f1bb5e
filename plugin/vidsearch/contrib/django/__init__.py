"""vidsearch in a Django project: put ``vidsearch.contrib.django`` into ``INSTALLED_APPS``.

:class:`~vidsearch.contrib.django.models.VideoModel` registers the videos of a model's rows, and
:class:`~vidsearch.contrib.django.admin.VideoAdmin` shows where they stand. Importing this package
imports no part of Django.
"""
