"""The actions of operators on hosts: which are possible now, why others are not, and the arming of installs."""
